create or replace view rowferry.sync_events as
select v.id, e.peer, e.name as entity, v.record_id,
  case v.event_type when 'i' then 'insert' when 'u' then 'update' when 'd' then 'delete' when 'b' then 'backfill'
    when 'a' then 'answer' when 'q' then 'question' when 'w' then 'moved' end as event_type,
  v.changed_at, v.hops, greatest(h.attempts, e.held_attempts) as attempts, greatest(h.not_before, e.held_until) as not_before,
  coalesce(e.held_sqlstate, h.sqlstate) as sqlstate, coalesce(e.held_error, h.last_error) as last_error,
  -- Whoever makes a hint may not know yet which event it is for.
  replace(replace(coalesce(e.held_hint, h.hint), 'rowferry.skip(id, ', format('rowferry.skip(%s, ', v.id)), 'rowferry.retry(id)',
    format('rowferry.retry(%s)', v.id)) as hint
from rowferry._queue v
join rowferry.entities e on e.id = v.entity_id
left join rowferry.held_events h on h.event_id = v.id
where not v.skipped
order by v.id;
comment on view rowferry.sync_events is
  'Pending changes, oldest first by id, without those that a person has given up. delete from sync_events where id = ..; gives one up, as skip(id) does.';
comment on column rowferry.sync_events.id is 'Number of the event.';
comment on column rowferry.sync_events.peer is 'The node to which the event is sent.';
comment on column rowferry.sync_events.entity is 'Kind of record.';
comment on column rowferry.sync_events.record_id is 'Key of the record as text.';
comment on column rowferry.sync_events.event_type is
  'insert, update, delete, backfill (an existing row), question (in place of a change that was given up: it asks the peer for its row), answer (to such a '
  'question), moved (the row entered or left what is kept in sync, or refers to another row now: rows that follow it are looked at first). The row is read '
  'when it is sent, as it is then; a question sends only the key.';
comment on column rowferry.sync_events.changed_at is 'Clock time of the change.';
comment on column rowferry.sync_events.hops is '0: made on this node; more: a consequence of applying the peer''s changes, by a cascade or a trigger.';
comment on column rowferry.sync_events.attempts is 'How often the peer refused the row or this node could not send it.';
comment on column rowferry.sync_events.not_before is 'When a refused or locked row is tried again; null: it is sent after its parent.';
comment on column rowferry.sync_events.sqlstate is 'SQLSTATE of the last refusal.';
comment on column rowferry.sync_events.last_error is 'Message of the last refusal.';
comment on column rowferry.sync_events.hint is 'What to do.';
