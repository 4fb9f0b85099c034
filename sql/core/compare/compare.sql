create or replace function rowferry.compare(
  p_entity_or_table text
)
returns table (
  run_id bigint,
  entity text,
  peer text,
  state text
)
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select c.id, c.entity, c.peer, format('%s; once the worker has carried it: select * from rowferry.compare_report where run_id = %s;', c.state, c.id)
  from rowferry._compare_start(p_entity_or_table, 'compare') c
$$;
comment on function rowferry.compare(text) is
  'Compares an entity''s rows on both nodes while both are written: select * from rowferry.compare(''accounts''); The comparison is queued, and the '
  'worker carries it; the views compare_runs, compare_report and differences show what was found.';
