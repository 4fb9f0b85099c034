create table rowferry.built_batches (
  peer text not null references rowferry.links,
  tag uuid not null,
  number bigint not null,
  ids int8multirange not null,
  keys integer not null,
  whole boolean not null,
  in_flight boolean not null default true,
  built_at timestamptz not null,
  primary key (peer, tag)
);
comment on table rowferry.built_batches is
  'Batches that were sent and are not acknowledged, those of earlier couriers included. Their tags prove which copy of this node the peer took.';
comment on column rowferry.built_batches.peer is 'The node to which the batch is sent.';
comment on column rowferry.built_batches.tag is 'Random tag of this build; another courier may build the same number again.';
comment on column rowferry.built_batches.number is 'Number on the link.';
comment on column rowferry.built_batches.ids is 'Events in it.';
comment on column rowferry.built_batches.keys is 'How many records are in it.';
comment on column rowferry.built_batches.whole is 'Whether everything that was pending is in it.';
comment on column rowferry.built_batches.in_flight is 'Whether the present exchange still waits for its acknowledgement.';
comment on column rowferry.built_batches.built_at is 'When it was built.';
