-- Starts a new generation of the link after it stopped: numbers begin again, events are kept, and the peer follows when it hears of it. What was lost
-- before is not found by this: a backfill on the node that is whole brings it.
create or replace function rowferry.resync(
  p_peer text default null
)
returns table (
  peer text,
  generation integer,
  was_stopped_for text,
  pending bigint
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_link rowferry.links := rowferry._link(p_peer);
  v_identity jsonb := rowferry._identity();
begin
  perform pg_advisory_xact_lock(hashtextextended('rowferry link ' || v_link.peer, 0));
  v_link := rowferry._link(p_peer);
  was_stopped_for := v_link.stopped_reason;
  v_link := rowferry._new_generation(v_link, greatest(v_link.generation, v_link.peer_generation) + 1);
  -- The exchange of a courier at work is over: it opens anew, and the peer hears of it.
  v_link.token_number := v_link.token_number + 1;
  v_link.token_random := '';
  perform rowferry._save_link(v_link);
  update rowferry.node n set system_identifier = v_identity ->> 'system', database_oid = (v_identity ->> 'database')::oid;
  peer := v_link.peer;
  generation := v_link.generation;
  pending := (rowferry._counts(v_link.peer, null)).pending;
  return next;
end
$$;
comment on function rowferry.resync(text) is 'Starts a new generation of a link that stopped; events are kept, numbers begin again on both nodes.';
revoke all on function rowferry.resync(text) from public;
