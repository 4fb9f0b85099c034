create table rowferry.traffic (
  peer text not null references rowferry.links,
  entity text not null,
  direction text not null check (direction in ('sent', 'applied')),
  hour timestamptz not null,
  batches bigint not null,
  records bigint not null,
  deletes bigint not null,
  refused bigint not null,
  primary key (peer, entity, direction, hour)
) with (fillfactor = 50);
comment on table rowferry.traffic is 'What went over each link, by entity and hour, for 90 days.';
comment on column rowferry.traffic.peer is 'The other node.';
comment on column rowferry.traffic.entity is 'Kind of record.';
comment on column rowferry.traffic.direction is 'sent: to the peer; applied: from the peer, here.';
comment on column rowferry.traffic.hour is 'Start of the hour, in UTC.';
comment on column rowferry.traffic.batches is 'Batches with records of this entity.';
comment on column rowferry.traffic.records is 'Records that were taken, deletes included.';
comment on column rowferry.traffic.deletes is 'Records that were deleted.';
comment on column rowferry.traffic.refused is 'Refusals; one record that is refused five times counts five.';
