create or replace function rowferry._captured_for_others(
  p_entity rowferry.entities
)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from rowferry.entities e where e.relation = p_entity.relation and e.id <> p_entity.id and e.direction <> 'receive')
$$;
comment on function rowferry._captured_for_others(rowferry.entities) is
  'Whether changes of an entity''s table are captured for another peer too.';
