create or replace function rowferry._source_sql(
  p_entity rowferry.entities
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return case
    when p_entity.filter is null and p_entity.within is null then rowferry._only_sql(p_entity, true)
    when p_entity.outbound is null then rowferry._filtered_sql(p_entity, rowferry._only_sql(p_entity))
    else (
      select format('(select o.* from %s o where (%s) in (select %s from %s i))', rowferry._travelling_relation(p_entity),
        string_agg(format('o.%I', k.name), ', '), string_agg(format('i.%I', k.name), ', '), rowferry._filtered_sql(p_entity, rowferry._only_sql(p_entity)))
      from (select p_entity.local_columns[array_position(p_entity.columns, c)] from unnest(p_entity.key_columns) c) k (name)) end;
end
$$;
comment on function rowferry._source_sql(rowferry.entities) is
  'FROM item that an entity''s rows are read from: its table or its outbound view, or only those rows of it that are kept in sync.';
