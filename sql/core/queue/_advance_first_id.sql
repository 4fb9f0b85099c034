create or replace function rowferry._advance_first_id(
  p_link rowferry.links,
  p_last_id bigint,
  p_left int8multirange,
  p_more boolean
)
returns rowferry.links
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  v_mine integer[] := array(select e.id from rowferry.entities e where e.peer = p_link.peer);
begin
  if p_link.horizon_xid <= pg_snapshot_xmin(pg_current_snapshot()) then
    -- A held event is found by its own table. An event in flight is not passed: the next courier builds from it again.
    p_link.first_id := coalesce((
      select e.id
      from rowferry._sendable_events(v_mine, int8multirange(int8range(p_link.first_id, p_link.horizon_id, '[]')) - p_left,
        1, p_skipped => true, p_moved => true) e), p_link.horizon_id + 1);
    p_link.horizon_xid := null;
  end if;
  if p_more and p_link.horizon_xid is null and p_last_id >= p_link.first_id then
    p_link.horizon_id := p_last_id;
    p_link.horizon_xid := pg_current_xact_id();
  end if;
  return p_link;
end
$$;
comment on function rowferry._advance_first_id(rowferry.links, bigint, int8multirange, boolean) is
  'Moves links.first_id, where the search for the next batch begins, past all events that were removed from the queue. Ids are drawn before their events can '
  'be seen, so it moves only up to an id behind which every transaction has ended (horizon_id, horizon_xid). p_last_id is the last id given out before this '
  'call drew its transaction id; null means not known. p_left has the events that were removed in this call. p_more says that some were, so that a new '
  'horizon is worth noting.';
