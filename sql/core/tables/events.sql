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
  'Pending changes. Triggers append them in the transaction of the change; they are removed when the peer has taken them. People read the view sync_events.';
comment on column rowferry.events.id is
  'Number drawn when the change is made. Transactions commit in another order, so no event is ever removed because its number is low.';
comment on column rowferry.events.changed_at is 'Clock time of the change; compared only in a conflict.';
comment on column rowferry.events.entity_id is 'The entity.';
comment on column rowferry.events.hops is '0: a real change; more: a consequence of applying, and how many times it went from node to node.';
comment on column rowferry.events.event_type is
  'i insert, u update, d delete, b backfill, a answer to a question, q question, w move: the row, or what follows it, may have come into sync or left it. '
  'What is sent is always the present row.';
comment on column rowferry.events.record_id is 'Key of the record as text; compared byte by byte, whatever the collation of the database.';
comment on column rowferry.events.place is
  'For the delete or the move of a row that follows a parent: key of the parent that it had, {} for none. If that parent was not kept in sync, the peer '
  'never had the row and is told nothing. Null: the peer is told.';

-- With the statistics of an empty queue any index would do for any search, and a plan outlives these statistics. So only one of the two indexes fits a search
-- (id + 0). The record comes first, because many records are looked for at once: before PostgreSQL 17 a planner may leave out a list of values that is not the
-- first column.
create index events_of_record on rowferry.events (rowferry._index_key(record_id), entity_id, (id + 0));
create index events_moved on rowferry.events (id) where event_type = 'w';
create index events_placed on rowferry.events (entity_id, (id + 0)) where place is not null and (event_type = 'd' or place <> '{}');
create index events_deleted on rowferry.events (entity_id, id) where event_type = 'd' and hops = 0;
alter table rowferry.events set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);
