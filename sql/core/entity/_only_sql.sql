create or replace function rowferry._only_sql(
  p_entity rowferry.entities,
  p_shape boolean default false
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select concat(case when c.relkind = 'r' then 'only ' end, c.oid::regclass)
  from pg_class c
  where c.oid = case when p_shape then rowferry._travelling_relation(p_entity) else p_entity.relation end
$$;
comment on function rowferry._only_sql(rowferry.entities, boolean) is
  'FROM item: an entity''s table, or (p_shape) what its rows are read from. Rows of a table that inherits from it are not the entity''s.';
