-- The planner inlines this function into the query that calls it, so it has no settings, and each name is qualified.
create or replace function rowferry._is_free(
  p_entity rowferry.entities
)
returns boolean
language sql
volatile
parallel safe
as $$
  select (p_entity).held_until is null or (p_entity).held_until operator(pg_catalog.<=) rowferry._now()
$$;
comment on function rowferry._is_free(rowferry.entities) is
  'Whether events of an entity may go: it is not paused, waits for no person, and is not held as a whole, or the time to try it again has come.';
