create table rowferry.moves (
  id bigint generated always as identity primary key,
  entity_id integer not null,
  parent_record_id text collate "C" not null,
  event_id bigint,
  changed_at timestamptz not null,
  hops smallint not null,
  last_key text collate "C",
  portion integer not null default 5000
);
comment on table rowferry.moves is 'Rows that entered or left what is kept in sync, and whose many followers (entities.within) get their events in portions.';
comment on column rowferry.moves.id is 'Order in which the rows moved.';
comment on column rowferry.moves.entity_id is 'Entity of the followers.';
comment on column rowferry.moves.parent_record_id is 'Key of the row that they refer to.';
comment on column rowferry.moves.event_id is 'Event of that row, if it is sent after the last of the followers; null: it is sent before them.';
comment on column rowferry.moves.changed_at is 'Stamp of that event; the events of the followers get the same.';
comment on column rowferry.moves.hops is 'Hops of that event.';
comment on column rowferry.moves.last_key is 'Key of the last follower that got its event; null: none did.';
comment on column rowferry.moves.portion is 'How many followers get their events in the next step.';

create trigger stir after insert or update on rowferry.moves execute function rowferry._stir();
alter table rowferry.moves enable always trigger stir;
comment on trigger stir on rowferry.moves is 'Tells the courier to look again.';
