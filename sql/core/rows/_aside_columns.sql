create or replace function rowferry._aside_columns(
  p_entity rowferry.entities
)
returns table (
  index oid,
  local text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select distinct on (i.indexrelid) i.indexrelid, c.local
  from pg_index i
  cross join lateral (
    select u.attnum, u.ord from unnest(i.indkey[0:i.indnkeyatts - 1]) with ordinality u (attnum, ord) where u.attnum <> 0
    union all
    -- An expression is null when a column that it names is null, if it is made of columns, constants, casts, and strict functions and operators of PostgreSQL.
    select v.found[1]::smallint, 1000
    from regexp_matches(i.indexprs::text, ':varattno (-?[0-9]+)', 'g') v (found)
    where not exists (
        select from regexp_matches(i.indexprs::text, '[{]([A-Z_]+)', 'g') n (found)
        where n.found[1] not in ('VAR', 'CONST', 'FUNCEXPR', 'OPEXPR', 'RELABELTYPE', 'COERCEVIAIO', 'COLLATE', 'COLLATEEXPR'))
      and not exists (
        select from regexp_matches(i.indexprs::text, ':(funcid|opno) ([0-9]+)', 'g') f (found)
        left join pg_operator o on f.found[1] = 'opno' and o.oid = f.found[2]::oid
        left join pg_proc p on p.oid = case f.found[1] when 'opno' then o.oprcode else f.found[2]::oid end
        where (p.proisstrict and p.oid < 16384) is not true)
  ) k
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum and a.attnum > 0 and not a.attnotnull and a.attgenerated = ''
  join pg_type t on t.oid = a.atttypid and not t.typnotnull
  join rowferry._entity_columns(rowferry._written(p_entity)) c on c.local = a.attname and c.key_position is null and not c.insert_only
  where i.indrelid = p_entity.relation and (i.indisunique or i.indisexclusion) and i.indimmediate
    and coalesce(to_jsonb(i) ->> 'indnullsnotdistinct', 'false') = 'false'
    and not exists (select from pg_constraint f where f.conrelid = i.indrelid and f.contype = 'c' and a.attnum = any (f.conkey))
    and not exists (select from pg_constraint f where f.confrelid = i.indrelid and f.contype = 'f' and a.attnum = any (f.confkey))
  order by i.indexrelid, k.ord, k.attnum
$$;
comment on function rowferry._aside_columns(rowferry.entities) is
  'For each unique index or exclusion constraint that PostgreSQL checks with each row: a column that may be null while the rows of a batch exchange their '
  'values. There is none if an expression may be something else than null when the column is null, if the constraint counts nulls as equal, or if a check or '
  'the key of another table uses every such column.';
