create table rowferry.events (
  id bigint generated always as identity primary key,
  changed_at timestamptz not null,
  entity_id integer not null,
  hops smallint not null default 0,
  event_type "char" not null,
  record_id text collate "C" not null,
  place text[] collate "C"
);
comment on table rowferry.events is 'Pending changes, append-only: written by triggers in the transaction of the change, removed when the peer has taken them. People read the view sync_events.';
comment on column rowferry.events.id is 'Drawn when the change is made; transactions commit in another order, so nothing is ever removed by number.';
comment on column rowferry.events.changed_at is 'Clock time of the change; compared only in a conflict.';
comment on column rowferry.events.entity_id is 'The entity.';
comment on column rowferry.events.hops is '0: a real change; above: a consequence of applying, and how often it went back and forth.';
comment on column rowferry.events.event_type is 'i insert, u update, d delete, b backfill, a answer to a question, q question, w moved: whether it and the rows that follow it are still kept in sync is to be looked at; what is sent is always the present row.';
comment on column rowferry.events.record_id is 'Key of the record as text; compared byte by byte, whatever the database''s collation.';
comment on column rowferry.events.place is 'Of the delete or the move of a row that follows a parent: the key of the parent that it had, {} for none. If that was not kept in sync, the peer never had the row, and hears nothing. Null: it hears of it.';

-- By the statistics of an empty queue each index would do for any search, and a plan lives longer than that. So only one of the two fits a search (id + 0), and
-- records, of which many are looked for at once, come first, since before PostgreSQL 17 a planner may leave out such a list where it is not.
create index events_of_record on rowferry.events (rowferry._index_key(record_id), entity_id, (id + 0));
create index events_moved on rowferry.events (id) where event_type = 'w';
create index events_placed on rowferry.events (entity_id, (id + 0)) where place is not null and (event_type = 'd' or place <> '{}');
create index events_deleted on rowferry.events (entity_id, id) where event_type = 'd' and hops = 0;
alter table rowferry.events set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);
