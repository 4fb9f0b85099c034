create table rowferry.taken_batches (
  peer text not null references rowferry.links,
  number bigint not null,
  tag uuid not null,
  ids int8multirange not null,
  refusals jsonb not null,
  conflicts jsonb not null,
  applied_ms integer not null,
  patience integer not null default 1,
  taken_at timestamptz not null,
  effect jsonb not null default '{}',
  primary key (peer, number)
);
comment on table rowferry.taken_batches is
  'For each batch of the peer: which events were taken and which records were not, until the peer has said that it knows.';
comment on column rowferry.taken_batches.peer is 'The node that sent the batch.';
comment on column rowferry.taken_batches.number is 'Number on the link.';
comment on column rowferry.taken_batches.tag is 'Random tag of the batch.';
comment on column rowferry.taken_batches.ids is 'The peer''s events that were taken.';
comment on column rowferry.taken_batches.refusals is 'The records that were not taken, because they were refused or locked, each with the error.';
comment on column rowferry.taken_batches.conflicts is
  'Conflicts that were decided while it was applied, for the peer''s log. Not compressed, because it is read once or twice and then removed.';
comment on column rowferry.taken_batches.applied_ms is 'Time it took to apply, or would have taken if all rows had been tried, in milliseconds.';
comment on column rowferry.taken_batches.patience is
  'The conflicts may hold large rows, so the calls that send or receive them may take this many times as long as usual.';
comment on column rowferry.taken_batches.taken_at is 'When it was taken.';
comment on column rowferry.taken_batches.effect is 'Numbers of records taken, of deletes among them, and of records refused, by entity.';

alter table rowferry.taken_batches alter column conflicts set storage external;
