-- Columns whose null makes an expression of an index null: all that it names, where it is made of nothing but strict functions and operators of PostgreSQL, casts and constants; else none.
create or replace function rowferry._null_makers(
  p_expressions pg_node_tree
)
returns setof smallint
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select distinct v.found[1]::smallint
  from regexp_matches(p_expressions::text, ':varattno (-?[0-9]+)', 'g') v (found)
  where v.found[1]::smallint > 0
    and not exists (
      select from regexp_matches(p_expressions::text, '[{]([A-Z_]+)', 'g') n (found)
      where n.found[1] not in ('VAR', 'CONST', 'FUNCEXPR', 'OPEXPR', 'RELABELTYPE', 'COERCEVIAIO', 'COLLATE', 'COLLATEEXPR'))
    and not exists (
      select from regexp_matches(p_expressions::text, ':(funcid|opno) ([0-9]+)', 'g') f (found)
      left join pg_operator o on f.found[1] = 'opno' and o.oid = f.found[2]::oid
      left join pg_proc p on p.oid = case f.found[1] when 'opno' then o.oprcode else f.found[2]::oid end
      where (p.proisstrict and p.oid < 16384) is not true)
$$;
comment on function rowferry._null_makers(pg_node_tree) is 'Columns whose null makes an expression of an index null.';
