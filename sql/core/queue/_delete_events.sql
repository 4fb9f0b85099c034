create or replace function rowferry._delete_events(
  p_ids int8multirange
)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  v_count integer;
begin
  delete from rowferry.events e
  using unnest(p_ids) r
  where e.id >= lower(r) and e.id < upper(r);
  get diagnostics v_count = row_count;
  delete from rowferry.held_events h
  using unnest(p_ids) r
  where h.event_id >= lower(r) and h.event_id < upper(r);
  return v_count;
end
$$;
comment on function rowferry._delete_events(int8multirange) is
  'Removes events and what was noted about them, and returns the number of events. It joins on the bounds of the ranges, so that each range is one scan of '
  'the index.';
