create table rowferry.events (
  id bigint generated always as identity primary key,
  changed_at timestamptz not null,
  entity_id integer not null,
  hops smallint not null default 0,
  event_type "char" not null,
  record_id text collate "C" not null,
  place text[] collate "C"
);
comment on table rowferry.events is
  'Pending changes. Triggers append a line for each changed row in the transaction of the change, and rowferry itself appends backfills, answers, '
  'questions, merged rows, rows that follow a moved one, and rows that were not stored as they were sent. A line is removed once the peer has taken it, or '
  'when it need not be sent any more: it lost a conflict, a newer line of the record replaces it, '
  'a person or an orphan rule gave it up, its row followed a parent that was not kept in sync, its entity was detached, or its link '
  'was cut. People read the view sync_events.';
comment on column rowferry.events.id is
  'Number drawn when the change is made. Transactions may commit in another order, so an event with a low number may appear late. No event is removed only '
  'because its number is low.';
comment on column rowferry.events.changed_at is 'Clock time of the change; compared only in a conflict.';
comment on column rowferry.events.entity_id is 'The entity.';
comment on column rowferry.events.hops is
  '0: made on this node (a user''s change, a backfill, an answer, a question or a merged row), or a user''s change that is passed on; more: a consequence of '
  'applying the peer''s changes, and how many times it went from node to node.';
comment on column rowferry.events.event_type is
  'i insert, u update, d delete, b backfill, a answer to a question, q question to the peer for its row, w move: the row, or rows that follow it, may have '
  'come into sync or left it. The event has no values: the row is read when it is sent, as it is then; if it is gone, only its key is sent. A question sends '
  'only the key. A w is never sent: once the rows that follow its row have been queued, it becomes a u, or a d that stands behind them.';
comment on column rowferry.events.record_id is 'Key of the record as text; compared byte by byte, whatever the collation of the database.';
comment on column rowferry.events.place is
  'Only of the delete or the move of a row that follows a parent: the key of the parent that the row had, or {} if it had none that was kept in sync. If that '
  'parent was not kept in sync, the peer never had the row. Then it does not hear of the delete, and of the move only if the row is kept in sync now. If '
  'place is null, the peer hears of the event.';

-- While the queue is empty, every index looks equally good to the planner, and the plan is still used when the queue is full. So each search must fit one
-- index only; id + 0 sees to that. The record is the first column, because many records are looked for at once: before PostgreSQL 17 a planner may not use a
-- list of values for a column that is not the first.
create index events_of_record on rowferry.events (rowferry._index_key(record_id), entity_id, (id + 0));
-- One index for all that is looked for by kind (moves, deletes, places to weigh), because whoever writes pays for each index that there is, also for one that
-- has none of the rows. _queue.placed is the second column, and a case: the planner takes an `and` apart, and then finds it in no index.
create index events_of_kind on rowferry.events (
  event_type, (case when place is null then false else event_type = 'd' or place <> '{}' end), entity_id, (id + 0)
) where event_type in ('d', 'w');
alter table rowferry.events set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);
