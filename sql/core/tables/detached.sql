create table rowferry.detached (
  entity_id integer primary key,
  name text not null,
  peer text not null,
  key text[] not null,
  unknown_there boolean not null
);
comment on table rowferry.detached is
  'Entities that the present transaction has detached and whose events wait: attach() of the same name takes the events over, or the transaction is refused '
  'at its end. Empty between transactions.';
comment on column rowferry.detached.entity_id is 'Id of the entity, which its events keep.';
comment on column rowferry.detached.name is 'Its name.';
comment on column rowferry.detached.peer is 'The node it was kept in sync with.';
comment on column rowferry.detached.key is 'Columns of its key and how they are spelled, because with another key the events would name other records.';
comment on column rowferry.detached.unknown_there is 'Whether the peer has refused its events because it has no such entity.';
