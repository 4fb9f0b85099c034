create table rowferry.outbox (
  id uuid not null,
  aggregatetype text not null,
  aggregateid text not null,
  type text not null,
  payload jsonb,
  -- The router takes the time of a message only from a column without time zone.
  -- squawk-ignore prefer-timestamp-tz
  changed_at timestamp not null
);
comment on table rowferry.outbox is
  'Rows for the outbox event router of Debezium. A call writes the records of a batch here and deletes them in the same transaction, so the table is always '
  'empty, and only the write-ahead log has its rows. It needs no key and no index: nobody looks a row up.';
comment on column rowferry.outbox.id is
  'Number of this message. A reader that crashed may deliver a message again, with the same number.';
comment on column rowferry.outbox.aggregatetype is 'Name of the entity without @ and the outbox; part of the topic''s name.';
comment on column rowferry.outbox.aggregateid is 'Key of the record as text; the key of the message.';
comment on column rowferry.outbox.type is 'upsert: payload is the row as it is now; delete: there is no such row any more.';
comment on column rowferry.outbox.payload is 'The row, as an object of its columns by their entity names; null for a delete, which makes a tombstone.';
comment on column rowferry.outbox.changed_at is 'When the record last changed, in UTC; of a backfill: when it was sent.';

-- Deletes are not published, so they need not say in the log which row they delete.
alter table rowferry.outbox replica identity nothing;
alter table rowferry.outbox set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
  toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 10000);
