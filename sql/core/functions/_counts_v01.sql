-- What waits on a link. Counting stops at p_most, so that a long backlog costs an exchange nothing; null counts all.
create or replace function rowferry._counts(
  p_peer text,
  p_most bigint,
  out pending bigint,
  out held bigint,
  out next_id bigint,
  out last_id bigint,
  out backfilling bigint,
  out patience integer
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with mine (ids, held, free) as (
    select coalesce(array_agg(e.id), '{}'), coalesce(array_agg(e.id) filter (where e.held_attempts > 0), '{}'),
      coalesce(array_agg(e.id) filter (where e.held_attempts = 0), '{}')
    from rowferry.entities e where e.peer = p_peer
  )
  select
    (select count(*) from (select from rowferry.events e, mine where e.entity_id = any (mine.ids) limit p_most) e),
    (select count(*) from (select from rowferry.held_events h, mine where h.attempts > 0 and h.entity_id = any (mine.free) limit p_most) h)
      + (select count(*) from (select from rowferry.events e, mine where e.entity_id = any (mine.held) limit p_most) e),
    (select e.id from rowferry.events e, mine
      where e.entity_id = any (mine.free)
        and not exists (select from rowferry.held_events h where h.event_id = e.id and h.attempts > 0)
        and not exists (select from rowferry.skips s
          where s.done_at is null and s.entity_id = e.entity_id and s.record_id = e.record_id and e.id <@ s.ids)
      order by e.id limit 1),
    coalesce(pg_sequence_last_value(pg_get_serial_sequence('rowferry.events', 'id')::regclass), 0),
    (select count(*) from rowferry.backfills b, mine where b.finished_at is null and b.entity_id = any (mine.ids))
      + (select count(*) from rowferry.skips s where s.done_at is null and s.peer = p_peer),
    coalesce((select a.o_patience from rowferry._alone(p_peer) a), 1)
$$;
comment on function rowferry._counts(text, bigint) is 'What waits on a link.';
revoke all on function rowferry._counts(text, bigint) from public;
