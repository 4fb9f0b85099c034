create table rowferry.breakers (
  entity_id integer primary key references rowferry.entities on delete cascade,
  since timestamptz not null,
  rows bigint not null,
  all_counted boolean not null,
  deletes bigint not null
);
comment on table rowferry.breakers is 'What has been counted for the breaker of each entity; counting begins again after an hour and with approve().';
comment on column rowferry.breakers.entity_id is 'The entity.';
comment on column rowferry.breakers.since is 'When counting began.';
comment on column rowferry.breakers.rows is 'How many rows the peer had then, or got since.';
comment on column rowferry.breakers.all_counted is 'Whether all rows were counted; else there are at least as many.';
comment on column rowferry.breakers.deletes is 'Deletes sent since counting began, less the rows that were added to the table since then.';
