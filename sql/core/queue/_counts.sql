create or replace function rowferry._counts(
  p_peer text,
  p_most integer,
  p_left int8multirange default '{}',
  p_rare rowferry._rare default null,
  out pending bigint,
  out held bigint,
  out next_id bigint,
  out last_id bigint,
  out backfilling bigint,
  out patience integer,
  out outbox text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  v_ids integer[];
  v_held integer[];
  v_free integer[];
  v_movable integer[];
  v_first_id bigint;
  v_moved_to bigint;
  v_gaps int8multirange;
  v_any_held boolean;
  v_aside int8multirange;
begin
  if p_rare is null then
    p_rare := rowferry._rare_things();
  end if;
  -- Each call tells the conflicts of large rows until the peer knows of them. That takes patience.
  select l.first_id, l.moved_to, coalesce(pg_sequence_last_value('rowferry.events_id_seq'), 0),
    greatest(1, (select max(t.patience) from rowferry.taken_batches t where t.peer = p_peer)),
    (select min(o.peer) from rowferry.links o where o.slot is not null)
  into v_first_id, v_moved_to, last_id, patience, outbox
  from rowferry.links l where l.peer = p_peer;
  v_gaps := int8multirange(int8range(v_first_id, 9223372036854775807)) - p_left;
  held := 0;
  if not rowferry._anything_rare(p_rare) then
    select least(p_most, count(*)), min(e.id), case when min(e.id) <= v_moved_to then 1 else 0 end
    into pending, next_id, backfilling
    from unnest(v_gaps) g
    cross join lateral (
      select e.id
      from rowferry.events e
      where e.id >= lower(g) and e.id < upper(g) and e.entity_id + 0 = any (array(select n.id from rowferry.entities n where n.peer = p_peer))
      order by e.id
      limit p_most
    ) e;
    return;
  end if;
  v_any_held := p_rare.held;
  select coalesce(array_agg(e.id), '{}'), coalesce(array_agg(e.id) filter (where e.held_attempts > 0), '{}'),
    coalesce(array_agg(e.id) filter (where e.held_attempts = 0), '{}')
  into v_ids, v_held, v_free
  from rowferry.entities e where e.peer = p_peer;
  v_aside := coalesce((
    select range_agg(i)
    from rowferry.waiting_runs r
    join rowferry.entities e on e.id = r.entity_id and e.peer = p_peer and e.held_until = 'infinity'
    cross join lateral unnest(r.ids) i), '{}');
  v_gaps := v_gaps - v_aside;
  -- Below first_id there are only held events.
  pending := (select count(*) from (
    select from rowferry._sendable_events(v_ids, v_gaps, p_most, true, true, true) e
    union all
    select from rowferry.held_events h where v_any_held and h.event_id < v_first_id and h.entity_id = any (v_ids)
    limit p_most) e);
  pending := least(p_most, pending + (select coalesce(sum(upper(i) - lower(i)), 0) from unnest(v_aside) i));
  if v_any_held then
    held := (select count(*) from (
      select from rowferry.held_events h
      where (h.attempts > 0 or h.parent_record_id is not null) and h.entity_id = any (v_free) limit p_most) h);
  end if;
  if v_held <> '{}' then
    -- Of the oldest events.
    held := held + (select count(*) from (
      select e.entity_id from rowferry.events e where e.id >= v_first_id and e.entity_id + 0 = any (v_ids) order by e.id limit p_most) e
      where e.entity_id = any (v_held))
      + (select count(*) from (select from rowferry.held_events h where h.event_id < v_first_id and h.entity_id = any (v_held) limit p_most) h);
  end if;
  v_movable := rowferry._movable(p_peer);
  -- While a table is held, so are the rows that moved whose followers are in it.
  held := held + (select count(*) from (
    select from unnest(v_free) n
    cross join unnest(array[true, false]) p (placed)
    cross join lateral (
      select from rowferry._queue q where q.event_type = 'w' and q.placed = p.placed and q.entity_id = n limit p_most) w
    where n <> all (v_movable)
    limit p_most) e);
  next_id := least(
    (select e.id from rowferry._sendable_events(v_free, v_gaps, 1) e),
    (select m.id from rowferry._moved(v_movable, 1) m),
    -- Events whose row was locked on the peer, which do not count as held, and events that may be sent because their parent was.
    case when v_any_held then (select min(h.event_id) from rowferry.held_events h where h.attempts = 0 and h.parent_record_id is null
      and h.entity_id = any (v_free)) end,
    (select min(f.event_id)
      from rowferry.missing_parents m
      cross join lateral (
        select h.event_id
        from rowferry.held_events h
        where h.parent_entity_id = m.entity_id and rowferry._index_key(h.parent_record_id) = rowferry._index_key(m.record_id) and h.parent_record_id is not null
          and h.entity_id = any (v_free)
        order by h.event_id + 0
        limit 1
      ) f
      where m.came));
  -- Nothing counts for which a person has to act first.
  backfilling := (case when next_id <= v_moved_to then 1 else 0 end)
    + (select count(*) from rowferry.moves m where m.entity_id = any (v_movable))
    + (select count(*) from rowferry.backfills b join rowferry.entities e on e.id = b.entity_id
      where b.finished_at is null and e.peer = p_peer and e.held_until is distinct from 'infinity')
    + (select count(*) from (select from rowferry.skips s where s.done_at is null and s.peer = p_peer limit p_most) s)
    + (select count(*) from rowferry.comparisons c where c.peer = p_peer and c.state in ('queued', 'walking', 'resolving')
      and not (c.state = 'resolving' and exists (
        select from rowferry.entities e where e.name = c.entity and e.peer = c.peer and e.held_until = 'infinity')));
  if v_any_held then
    patience := greatest(patience, (select a.o_patience from rowferry._alone(p_peer) a));
  end if;
end
$$;
comment on function rowferry._counts(text, integer, int8multirange, rowferry._rare) is
  'What waits on a link, as process_batch() returns it. It counts up to p_most, so that a long backlog costs an exchange nothing; null means that it counts '
  'all. p_left has the events that were removed from the queue in this call, past which no search need walk. p_rare says which rare things there are; null: '
  'nobody has looked yet. outbox is the outbox of this node, if it has one.';
