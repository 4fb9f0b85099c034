create or replace function rowferry._save_link(
  p_link rowferry.links,
  p_before rowferry.links
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
    identity = p_link.identity, peer_identity = p_link.peer_identity, stopped_at = p_link.stopped_at, stopped_reason = p_link.stopped_reason,
    opened_at = p_link.opened_at, last_exchange_at = p_link.last_exchange_at, courier = p_link.courier,
    courier_error = p_link.courier_error, warning = p_link.warning,
    told_paused = p_link.told_paused, facts_sent_at = p_link.facts_sent_at, facts_to = p_link.facts_to,
    facts_entities = p_link.facts_entities, facts_schema = p_link.facts_schema, facts_looked_at = p_link.facts_looked_at,
    facts_apart = p_link.facts_apart, users_timeout = p_link.users_timeout,
    peer_unsettled = p_link.peer_unsettled, told_settled = p_link.told_settled, moved_to = p_link.moved_to,
    backlog_looked_at = p_link.backlog_looked_at, backlog_since = p_link.backlog_since, cut_at = p_link.cut_at,
    rest_event_id = null
  where l.peer = p_link.peer
    and (l.generation, l.peer_generation, l.token_number, l.token_random, l.ready, l.built, l.top, l.acked, l.acked_tag, l.received, l.received_tag, l.unlocked)
      is not distinct from (p_before.generation, p_before.peer_generation, p_before.token_number, p_before.token_random, p_before.ready, p_before.built,
        p_before.top, p_before.acked, p_before.acked_tag, p_before.received, p_before.received_tag, p_before.unlocked);
  if not found then
    raise exception using errcode = '40001', message = 'another call has moved the link in the meantime', detail = format('The link to %s.', p_link.peer),
      hint = 'Nothing was changed; the worker opens the exchange again.';
  end if;
end
$$;
comment on function rowferry._save_link(rowferry.links, rowferry.links) is
  'Writes what an exchange changed in a link, which rests no more, if the link''s numbers are still what they were when the exchange began (p_before). '
  'Usually the link''s lock makes sure of that. If a stranger holds the lock, one of two calls at the same time fails here, and everything that it did is '
  'rolled back.';
