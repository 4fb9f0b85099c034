create table rowferry.missing_parents (
  entity_id integer not null,
  record_id text collate "C" not null,
  attempts integer not null default 0,
  not_before timestamptz not null,
  came boolean not null default false,
  deleted boolean not null default false
);
comment on table rowferry.missing_parents is 'Records that the peer lacks and for which rows in held_events wait: the rows are not sent before them.';
comment on column rowferry.missing_parents.entity_id is 'Entity of the record.';
comment on column rowferry.missing_parents.record_id is 'Key of the record as text.';
comment on column rowferry.missing_parents.attempts is
  'How often one of the rows that wait was tried without the record, because somebody may have made it on the peer.';
comment on column rowferry.missing_parents.not_before is 'When one of the rows is tried next.';
comment on column rowferry.missing_parents.came is
  'Whether the peer has the record now, so that the rows that wait for it may be sent; the last of them removes this entry.';
comment on column rowferry.missing_parents.deleted is 'Whether the peer lacks the record because it was deleted there and its delete waits there.';

create unique index missing_parents_of_record on rowferry.missing_parents (entity_id, rowferry._index_key(record_id));

create trigger stir after insert or update on rowferry.missing_parents execute function rowferry._stir();
alter table rowferry.missing_parents enable always trigger stir;
comment on trigger stir on rowferry.missing_parents is 'Tells the courier to look again.';
