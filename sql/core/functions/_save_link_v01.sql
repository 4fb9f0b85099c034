-- Writes what an exchange changed of a link.
create or replace function rowferry._save_link(
  p_link rowferry.links
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update rowferry.links l
  set generation = p_link.generation, peer_generation = p_link.peer_generation,
    token_number = p_link.token_number, token_random = p_link.token_random, ready = p_link.ready,
    built = p_link.built, top = p_link.top, acked = p_link.acked, acked_tag = p_link.acked_tag,
    received = p_link.received, received_tag = p_link.received_tag, batch_limit = p_link.batch_limit, growth = p_link.growth,
    first_id = p_link.first_id, horizon_id = p_link.horizon_id, horizon_xid = p_link.horizon_xid,
    peer_identity = p_link.peer_identity, stopped_at = p_link.stopped_at, stopped_reason = p_link.stopped_reason,
    opened_at = p_link.opened_at, last_exchange_at = p_link.last_exchange_at, courier = p_link.courier,
    courier_error = p_link.courier_error, warning = p_link.warning,
    told_paused = p_link.told_paused, facts_sent_at = p_link.facts_sent_at, facts_to = p_link.facts_to
  where l.peer = p_link.peer;
end
$$;
comment on function rowferry._save_link(rowferry.links) is 'Writes what an exchange changed of a link.';
revoke all on function rowferry._save_link(rowferry.links) from public;
