create table rowferry.peer_facts (
  peer text primary key references rowferry.links,
  facts jsonb not null,
  heard_at timestamptz not null
);
comment on table rowferry.peer_facts is
  'What each peer said of itself, for check(): server, collation, and for each entity columns, keys, foreign keys, triggers and sequences.';
comment on column rowferry.peer_facts.peer is 'The peer.';
comment on column rowferry.peer_facts.facts is 'The facts that the peer told, by entity.';
comment on column rowferry.peer_facts.heard_at is 'When this node last heard them.';
