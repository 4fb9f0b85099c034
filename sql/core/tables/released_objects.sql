create table rowferry.released_objects (
  kind text not null,
  object text not null,
  name text,
  definition text not null,
  make text not null,
  mend text,
  server integer not null
);
comment on table rowferry.released_objects is
  'The tables, columns, constraints, indexes, sequences, triggers and views of the installed release, so that check() finds what was changed since.';
comment on column rowferry.released_objects.kind is 'Kind of object.';
comment on column rowferry.released_objects.object is 'The table, view or sequence.';
comment on column rowferry.released_objects.name is 'The part of it that is meant; null: the whole.';
comment on column rowferry.released_objects.definition is 'How it is defined.';
comment on column rowferry.released_objects.make is 'Statement that makes it again if it is gone.';
comment on column rowferry.released_objects.mend is 'Statement that restores it if it was altered.';
comment on column rowferry.released_objects.server is 'Major version of PostgreSQL that spelled the definition.';

create unique index released_objects_named on rowferry.released_objects (kind, object, coalesce(name, ''));
