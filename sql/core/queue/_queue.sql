create or replace view rowferry._queue as
select e.id, e.changed_at, e.entity_id, e.hops, e.event_type, e.record_id, e.place,
  rowferry._stamp(e) as stamp,
  -- Each of these expressions first asks whether its table has such a row at all. The executor asks this once a query. Most queues have none, and then it
  -- looks up no event. With offset 0 each event is looked up by the index. Without it the planner would hash all held events even for a small batch.
  exists (select from rowferry.held_events) and exists (select from rowferry.held_events h where h.event_id = e.id offset 0) as held,
  exists (select from rowferry.skips s where s.done_at is null) and exists (
    select from rowferry.skips s
    where s.done_at is null and s.entity_id = e.entity_id and rowferry._index_key(s.record_id) = rowferry._index_key(e.record_id)
      and e.id <@ s.ids) as skipped,
  exists (select from rowferry.skips s where s.done_at is null) and exists (
    select from rowferry.skips s
    where s.done_at is null and s.entity_id = e.entity_id and rowferry._index_key(s.record_id) = rowferry._index_key(e.record_id)
    offset 0) as record_skipped,
  e.event_type = 'w' as moved,
  case when e.place is null then false else e.event_type = 'd' or e.place <> '{}' end as placed,
  exists (select from rowferry.built_batches b where b.in_flight and e.id <@ b.ids) as in_flight,
  case when exists (select from rowferry.held_events) then (
    select case
      when h.not_before is not null then h.not_before
      when exists (
        select from rowferry.missing_parents m
        where m.entity_id = h.parent_entity_id and rowferry._index_key(m.record_id) = rowferry._index_key(h.parent_record_id) and m.came
        offset 0) then '-infinity'
      else 'infinity' end
    from rowferry.held_events h where h.event_id = e.id) end as due_at,
  exists (select from rowferry.held_events) and exists (
    select from rowferry.held_events h where h.event_id = e.id and h.patience is not null offset 0) as alone
from rowferry.events e;
comment on view rowferry._queue is
  'Each pending event, with what may keep this event from going; whether its entity may send is asked by _is_free(). An event is free to go, so that its '
  'record gets into a batch, if it is not held (or is due again), not skipped, not in flight, not a move whose followers are still to be looked at, and '
  '_is_free() says so of its entity. Once a record is in a batch, all its pending events travel, also those that are held or in flight. A query pays only for '
  'the columns that it names.';
comment on column rowferry._queue.id is 'Number of the event.';
comment on column rowferry._queue.changed_at is 'Clock time of the change.';
comment on column rowferry._queue.entity_id is 'The entity.';
comment on column rowferry._queue.hops is 'As in events: 0 if the event was made on this node, more if it is a consequence of applying the peer''s changes.';
comment on column rowferry._queue.event_type is 'As in events.';
comment on column rowferry._queue.record_id is 'Key of the record as text.';
comment on column rowferry._queue.place is 'As in events.';
comment on column rowferry._queue.stamp is 'What a conflict compares of the event: see _stamp().';
comment on column rowferry._queue.held is 'Whether the event is set aside in held_events.';
comment on column rowferry._queue.skipped is 'Whether a person or an orphan rule gave the event up, and it has not been replaced yet.';
comment on column rowferry._queue.record_skipped is 'Whether a person or an orphan rule gave up any event of its record, and it has not been replaced yet.';
comment on column rowferry._queue.moved is
  'Whether the event is a move (type w): the rows that follow its row must be looked at first, and then it is a w no more, but a u or a d.';
comment on column rowferry._queue.placed is
  'Whether the event has a place that _weigh_places() has not judged yet. The index events_of_kind has this very expression.';
comment on column rowferry._queue.in_flight is 'Whether it was sent, and the present exchange waits for the acknowledgement.';
comment on column rowferry._queue.due_at is
  'When a held event may be tried again: infinity while it waits for its parent, -infinity once the peer has the parent. Null: it is not held.';
comment on column rowferry._queue.alone is
  'Whether the record travels alone, because it is large or ran out of time, in a call that may take longer than others.';
