create table rowferry.batches (
  id bigint generated always as identity primary key,
  peer text not null references rowferry.links,
  direction text not null check (direction in ('sent', 'applied')),
  number bigint not null,
  tag uuid not null,
  records bigint not null,
  events bigint not null,
  refused bigint not null,
  conflicts integer not null,
  ms integer not null,
  at timestamptz not null
);
comment on table rowferry.batches is
  'Log of the last batches, 10,000 or some more. A batch of the peer is logged when it was applied, a batch of this node when the peer acknowledged it.';
comment on column rowferry.batches.id is 'Order of the log.';
comment on column rowferry.batches.peer is 'The other node.';
comment on column rowferry.batches.direction is 'sent: to the peer; applied: from the peer, here.';
comment on column rowferry.batches.number is 'Number of the batch on the link, in its direction.';
comment on column rowferry.batches.tag is 'Its random tag, the same on both nodes.';
comment on column rowferry.batches.records is 'Records that were taken.';
comment on column rowferry.batches.events is 'Events that were taken; more than the records where a record changed several times.';
comment on column rowferry.batches.refused is 'Records that were refused; they stay with their sender, held.';
comment on column rowferry.batches.conflicts is 'Conflicts that were decided while it was applied.';
comment on column rowferry.batches.ms is 'Milliseconds it took to apply, or would have taken if all records had been tried.';
comment on column rowferry.batches.at is 'When it was applied, or when its acknowledgement arrived.';
