-- How many events of a link wait, how many of these are held, by this node, for want of a parent or in all, whether any is free to go, and since when the oldest one waits, for the view status. A function, since only a function can say that it is not to be compiled.
create or replace function rowferry._waiting(
  p_peer text,
  out o_pending bigint,
  out o_held bigint,
  out o_held_here bigint,
  out o_held_waiting bigint,
  out o_free boolean,
  out o_oldest_at timestamptz
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
set enable_hashjoin = on
set enable_nestloop = off
set enable_mergejoin = off
as $$
  select count(*), count(*) filter (where (h.event_id is not null or e.held_attempts > 0) and not v.skipped),
    count(*) filter (where (h.here or e.held_attempts > 0 and e.held_here) and not v.skipped),
    count(*) filter (where h.parent_record_id is not null and e.held_attempts = 0 and not v.skipped),
    coalesce(bool_or(e.held_attempts = 0 and (w.event_id is null or w.not_before <= clock_timestamp())), false)
      or exists (select from rowferry.backfills b join rowferry.entities n on n.id = b.entity_id where n.peer = p_peer and b.finished_at is null and n.held_attempts = 0),
    min(v.changed_at)
  from rowferry._queue v
  join rowferry.entities e on e.id = v.entity_id and e.peer = p_peer
  left join rowferry.held_events w on w.event_id = v.id
  left join rowferry.held_events h on h.event_id = v.id and (h.attempts > 0 or h.parent_record_id is not null)
$$;
comment on function rowferry._waiting(text) is 'How many events of a link wait, how many of these are held, and since when the oldest one does.';
