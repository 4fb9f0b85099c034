create table rowferry.released_objects (
  kind text not null,
  object text not null,
  name text,
  definition text not null,
  make text not null,
  mend text,
  server integer not null
);
comment on table rowferry.released_objects is 'The tables, columns, constraints, indexes, sequences, triggers and views that the installed release made, for check() to find what was changed since.';
comment on column rowferry.released_objects.kind is 'What it is.';
comment on column rowferry.released_objects.object is 'The table, view or sequence.';
comment on column rowferry.released_objects.name is 'What of it; null: the whole.';
comment on column rowferry.released_objects.definition is 'What it is made like.';
comment on column rowferry.released_objects.make is 'What makes it again where it is gone.';
comment on column rowferry.released_objects.mend is 'What makes it so again where it was altered.';
comment on column rowferry.released_objects.server is 'Major version of PostgreSQL that spelled the definition.';

create unique index released_objects_named on rowferry.released_objects (kind, object, coalesce(name, ''));
