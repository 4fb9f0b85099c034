-- What piece "account", "act" and "check" own, until they are merged.
create table rowferry.batches (
  id bigint generated always as identity primary key,
  peer text not null,
  direction text not null,
  number bigint not null,
  tag uuid not null,
  records integer not null,
  refused integer not null,
  conflicts integer not null,
  ms integer not null,
  at timestamptz not null
);
comment on table rowferry.batches is 'Log of exchanges.';
comment on column rowferry.batches.id is 'Number of the entry.';
comment on column rowferry.batches.peer is 'The other node.';
comment on column rowferry.batches.direction is 'sent or applied.';
comment on column rowferry.batches.number is 'Number of the batch.';
comment on column rowferry.batches.tag is 'Its tag.';
comment on column rowferry.batches.records is 'Records in it.';
comment on column rowferry.batches.refused is 'Of these refused.';
comment on column rowferry.batches.conflicts is 'Of these in conflict.';
comment on column rowferry.batches.ms is 'Time to apply it.';
comment on column rowferry.batches.at is 'When.';
alter table rowferry.entities add column paused_at timestamptz, add column paused_by text;
comment on column rowferry.entities.paused_at is 'Since when it is paused.';
comment on column rowferry.entities.paused_by is 'By whom.';
alter table rowferry.links add column clock_difference interval;
comment on column rowferry.links.clock_difference is 'The peer''s clock less this node''s.';
grant select on rowferry.batches to rowferry_viewer;
