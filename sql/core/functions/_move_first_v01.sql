-- Moves the place where the search for the next batch begins past all that has left. Ids are drawn before their events can be seen, so it moves only up to
-- an id behind which every transaction has ended. p_last_id: last id given out before this call drew its transaction id; null: not known.
create or replace function rowferry._move_first(
  p_link rowferry.links,
  p_last_id bigint
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
    -- What is held is found by its own table. An event in flight is not passed: the next courier builds from it again.
    p_link.first_id := coalesce((
      select e.id
      from rowferry.events e
      where e.id between p_link.first_id and p_link.horizon_id and e.entity_id + 0 = any (v_mine)
        and not exists (select from rowferry.held_events h where h.event_id = e.id)
      order by e.id
      limit 1), p_link.horizon_id + 1);
    p_link.horizon_xid := null;
  end if;
  if p_link.horizon_xid is null and p_last_id >= p_link.first_id then
    p_link.horizon_id := p_last_id;
    p_link.horizon_xid := pg_current_xact_id();
  end if;
  return p_link;
end
$$;
comment on function rowferry._move_first(rowferry.links, bigint) is 'Moves the place where the search for the next batch begins.';
revoke all on function rowferry._move_first(rowferry.links, bigint) from public;
