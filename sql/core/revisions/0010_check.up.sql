alter table rowferry.links
  add column facts_sent_at timestamptz,
  add column facts_to text,
  add column facts_entities text,
  add column facts_schema bigint,
  add column facts_looked_at timestamptz,
  add column facts_apart boolean not null default false;
comment on column rowferry.links.facts_to is 'The last entity that was told of, where there was no time for all; the next envelope goes on.';
comment on column rowferry.links.facts_sent_at is 'When this node last told the peer what check() there compares; told again at once when it has changed, and with what travels after 5 minutes.';
comment on column rowferry.links.facts_entities is 'How many entities there were when it was last told, and the highest version among them.';
comment on column rowferry.links.facts_schema is 'Digest of the schema of their tables at that time.';
comment on column rowferry.links.facts_looked_at is 'When the schema was last looked at for changes.';
comment on column rowferry.links.facts_apart is 'Whether a table was then not the one that was attached: until the peer knows better, each call looks.';

create table rowferry.peer_facts (
  peer text primary key references rowferry.links,
  facts jsonb not null,
  heard_at timestamptz not null
);
comment on table rowferry.peer_facts is 'What each peer said of itself, for check(): server, collation, and of each entity columns, keys, foreign keys, triggers, sequences.';
comment on column rowferry.peer_facts.peer is 'The peer.';
comment on column rowferry.peer_facts.facts is 'What it said, by entity.';
comment on column rowferry.peer_facts.heard_at is 'When.';

create table rowferry.staggered_sequences (
  sequence regclass primary key,
  block bigint not null
);
comment on table rowferry.staggered_sequences is 'Sequences that stagger_sequence() has made draw every second value.';
comment on column rowferry.staggered_sequences.sequence is 'The sequence.';
comment on column rowferry.staggered_sequences.block is 'For how many ids one of its values stands: what it counted by before.';

create table rowferry.released (
  function text primary key,
  digest text not null
);
comment on table rowferry.released is 'The functions that the installed release made, for check() to find what was changed since.';
comment on column rowferry.released.function is 'Name and types of the parameters.';
comment on column rowferry.released.digest is 'Digest of its body and of all that decides how it runs.';

create table rowferry.released_objects (
  kind text not null,
  object text not null,
  name text,
  definition text not null,
  make text not null,
  mend text,
  server integer not null
);
create unique index released_objects_named on rowferry.released_objects (kind, object, coalesce(name, ''));
comment on table rowferry.released_objects is 'The tables, columns, constraints, indexes, sequences, triggers and views that the installed release made, for check() to find what was changed since.';
comment on column rowferry.released_objects.kind is 'What it is.';
comment on column rowferry.released_objects.object is 'The table, view or sequence.';
comment on column rowferry.released_objects.name is 'What of it; null: the whole.';
comment on column rowferry.released_objects.definition is 'What it is made like.';
comment on column rowferry.released_objects.make is 'What makes it again where it is gone.';
comment on column rowferry.released_objects.mend is 'What makes it so again where it was altered.';
comment on column rowferry.released_objects.server is 'Major version of PostgreSQL that spelled the definition.';
