-- An untyped null beside the value of a domain makes it one of the base type by no cast that anybody could define.
create or replace function rowferry._pinned_sql(
  p_entity rowferry.entities,
  p_row text,
  p_unaltered boolean default false
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(string_agg(format(case
      when starts_with(c.type, 'enum{') then 'pg_catalog.textin(pg_catalog.enum_out(coalesce(%1$s.%2$I, null))) as %2$I'
      when p_unaltered then 'rowferry._unaltered(coalesce(%1$s.%2$I, null), null::pg_catalog.%3$I) as %2$I'
      else 'coalesce(%1$s.%2$I, null) as %2$I' end, p_row, c.name, t.typname), ', ' order by c.ord), '')
  from unnest(p_entity.filter_columns, p_entity.filter_types) with ordinality c (name, type, ord)
  left join pg_type t on t.oid = case when not starts_with(c.type, 'enum{') then to_regtype(c.type) end
$$;
comment on function rowferry._pinned_sql(rowferry.entities, text, boolean) is
  'Select list of the columns that an entity''s filter uses, each in the type in which the filter was proved: a domain as its base type, an enum as text. '
  'With p_unaltered the statement fails before anything runs if a column has another type by now; this is for functions that have more rights than the '
  'table''s owner.';
