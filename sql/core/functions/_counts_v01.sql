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
  with mine (ids, held, free, first_id, any_held, any_skips) as materialized (
    select coalesce(array_agg(e.id), '{}'), coalesce(array_agg(e.id) filter (where e.held_attempts > 0), '{}'),
      coalesce(array_agg(e.id) filter (where e.held_attempts = 0), '{}'),
      (select l.first_id from rowferry.links l where l.peer = p_peer),
      exists (select from rowferry.held_events), exists (select from rowferry.skips s where s.done_at is null)
    from rowferry.entities e where e.peer = p_peer
  )
  select
    -- Below first_id there are only held ones. + 0: in the order of ids, whatever the statistics say.
    (select count(*) from (
      select from rowferry.events e where e.id >= (select first_id from mine) and e.entity_id + 0 = any ((select ids from mine)::integer[])
      union all
      select from rowferry.held_events h where h.event_id < (select first_id from mine) and h.entity_id = any ((select ids from mine)::integer[])
      limit p_most) e),
    (select count(*) from (select from rowferry.held_events h where h.attempts > 0 and h.entity_id = any ((select free from mine)::integer[]) limit p_most) h)
      + (select count(*) from (select from rowferry.events e where e.entity_id = any ((select held from mine)::integer[]) limit p_most) e),
    least(
      (select e.id from rowferry.events e
        where e.id >= (select first_id from mine) and e.entity_id + 0 = any ((select free from mine)::integer[])
          and not ((select any_held from mine) and exists (select from rowferry.held_events h where h.event_id = e.id and h.attempts > 0))
          and not ((select any_skips from mine) and exists (select from rowferry.skips s
            where s.done_at is null and s.entity_id = e.entity_id and s.record_id = e.record_id and e.id <@ s.ids))
        order by e.id limit 1),
      -- Found locked there, which does not count.
      (select min(h.event_id) from rowferry.held_events h
        where h.attempts = 0 and h.event_id < (select first_id from mine) and h.entity_id = any ((select free from mine)::integer[]))),
    coalesce(pg_sequence_last_value(pg_get_serial_sequence('rowferry.events', 'id')::regclass), 0),
    (select count(*) from rowferry.backfills b where b.finished_at is null and b.entity_id = any ((select ids from mine)::integer[]))
      + (select count(*) from rowferry.skips s where s.done_at is null and s.peer = p_peer),
    -- Conflicts of large rows are told in every call until the peer knows of them.
    greatest((select a.o_patience from rowferry._alone(p_peer) a), (select max(t.patience) from rowferry.taken_batches t where t.peer = p_peer), 1)
$$;
comment on function rowferry._counts(text, bigint) is 'What waits on a link.';
revoke all on function rowferry._counts(text, bigint) from public;
