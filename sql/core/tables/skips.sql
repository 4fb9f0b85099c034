create table rowferry.skips (
  id bigint generated always as identity primary key,
  peer text not null references rowferry.links,
  entity_id integer not null,
  entity text not null,
  record_id text collate "C" not null,
  ids int8multirange not null,
  reason text,
  last_error text,
  requested_at timestamptz not null,
  requested_by text not null,
  may_delete boolean not null default false,
  done_at timestamptz,
  kept boolean not null default false,
  outcome text,
  ended_at timestamptz,
  image jsonb
);
comment on table rowferry.skips is
  'Log of changes that a person or an orphan rule gave up: a question takes the place of the events, and the peer answers with its own row.';
comment on column rowferry.skips.id is 'Number of the skip.';
comment on column rowferry.skips.peer is 'The peer that did not get the change.';
comment on column rowferry.skips.entity_id is 'Id of the entity at that time.';
comment on column rowferry.skips.entity is 'Name of the entity.';
comment on column rowferry.skips.record_id is 'Key of the record as text.';
comment on column rowferry.skips.ids is 'The events that were given up.';
comment on column rowferry.skips.reason is 'Why, in the words of the person who called skip(), or of the orphan rule.';
comment on column rowferry.skips.last_error is 'Why the peer had refused the change.';
comment on column rowferry.skips.requested_at is 'When it was given up.';
comment on column rowferry.skips.requested_by is 'The role that gave it up, or the orphan rule.';
comment on column rowferry.skips.may_delete is 'Whether the row here may be deleted if the peer has none.';
comment on column rowferry.skips.done_at is 'When the events were deleted and the question took their place; null while one of them is in flight.';
comment on column rowferry.skips.kept is 'Whether the row here stays although the peer has no such row, or may have none: different on purpose until ended_at.';
comment on column rowferry.skips.outcome is 'What happened in the end; null: not known yet.';
comment on column rowferry.skips.ended_at is
  'When the record was equal again, changed again or was given up again; null: it waits for the answer, or is different on purpose.';
comment on column rowferry.skips.image is
  'The row here when it was given up, each value as its type prints it; null: it was gone, could not be read, or an orphan rule gave it up (conflicts has '
  'the row then).';

create index skips_open on rowferry.skips (entity_id, rowferry._index_key(record_id)) where done_at is null;
create index skips_in_force on rowferry.skips (entity_id, rowferry._index_key(record_id), id) where ended_at is null;
create index skips_in_order on rowferry.skips (peer, id) where done_at is null;
create index skips_ended on rowferry.skips (ended_at) where ended_at is not null;

create trigger stir after insert or update on rowferry.skips execute function rowferry._stir();
alter table rowferry.skips enable always trigger stir;
comment on trigger stir on rowferry.skips is 'Tells the courier to look again.';
