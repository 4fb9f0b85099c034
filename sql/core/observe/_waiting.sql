create or replace function rowferry._waiting(
  p_peer text,
  out o_pending bigint,
  out o_held bigint,
  out o_held_here bigint,
  out o_held_for_parents bigint,
  out o_free boolean,
  out o_oldest_at timestamptz,
  out o_bytes bigint
)
language sql
stable
set search_path = pg_catalog, pg_temp
set enable_hashjoin = on
set enable_nestloop = off
set enable_mergejoin = off
as $$
  select count(*), count(*) filter (where (h.event_id is not null or e.held_attempts > 0) and not v.skipped),
    count(*) filter (where (h.here or e.held_attempts > 0 and e.held_here) and not v.skipped),
    count(*) filter (where h.parent_record_id is not null and e.held_attempts = 0 and not v.skipped),
    coalesce(bool_or(e.held_attempts = 0 and (w.event_id is null or w.not_before <= clock_timestamp())), false)
      or exists (select from rowferry.backfills b join rowferry.entities n on n.id = b.entity_id where n.peer = p_peer and b.finished_at is null
        and n.held_attempts = 0),
    min(v.changed_at), coalesce(sum(rowferry._event_bytes(v.record_id)), 0)::bigint
  from rowferry._queue v
  join rowferry.entities e on e.id = v.entity_id and e.peer = p_peer
  left join rowferry.held_events w on w.event_id = v.id
  left join rowferry.held_events h on h.event_id = v.id and (h.attempts > 0 or h.parent_record_id is not null)
$$;
comment on function rowferry._waiting(text) is
  'For the view status: how many events of a link wait; how many of them, without those that a person has given up, are held, are held by this node, and are '
  'held because the peer lacks their parent; whether any event may be sent now; since when the oldest event has waited, and about how '
  'many bytes they take.';
