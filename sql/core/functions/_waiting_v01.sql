-- How many events of a link wait, how many of these are held, and since when the oldest one does, for the view status. A function, since only a function can say that it is not to be compiled.
create or replace function rowferry._waiting(
  p_peer text,
  out o_pending bigint,
  out o_held bigint,
  out o_oldest_at timestamptz
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set jit = off
as $$
  select count(*), count(*) filter (where (h.event_id is not null or e.held_attempts > 0)
    and not exists (select from rowferry.skips s where s.done_at is null and s.entity_id = v.entity_id and s.record_id = v.record_id and v.id <@ s.ids)), min(v.changed_at)
  from rowferry.events v
  join rowferry.entities e on e.id = v.entity_id and e.peer = p_peer
  left join rowferry.held_events h on h.event_id = v.id and h.attempts > 0
$$;
comment on function rowferry._waiting(text) is 'How many events of a link wait, how many of these are held, and since when the oldest one does.';
revoke all on function rowferry._waiting(text) from public;
