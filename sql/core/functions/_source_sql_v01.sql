-- The FROM item that an entity's rows are read from: its table, or those rows of it that are in the filter.
create or replace function rowferry._source_sql(
  p_entity rowferry.entities
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce('(select * from ' || p_entity.relation::text || ' where ' || p_entity.filter || ')', p_entity.relation::text)
$$;
comment on function rowferry._source_sql(rowferry.entities) is 'FROM item that an entity''s rows are read from.';
revoke all on function rowferry._source_sql(rowferry.entities) from public;
