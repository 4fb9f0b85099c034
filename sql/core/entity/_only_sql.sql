-- An entity's table, or what its rows are read from (p_shape), as a FROM item: rows of a table that inherits from a plain one are none of the entity's.
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
comment on function rowferry._only_sql(rowferry.entities, boolean) is 'An entity''s table as a FROM item, without what inherits from it.';
