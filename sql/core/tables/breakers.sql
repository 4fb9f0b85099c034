create table rowferry.breakers (
  entity_id integer primary key references rowferry.entities on delete cascade,
  since timestamptz not null,
  rows bigint not null,
  all_counted boolean not null,
  deletes bigint not null
);
comment on table rowferry.breakers is 'What has been counted for each entity''s breaker; begun anew after an hour, or approve().';
comment on column rowferry.breakers.entity_id is 'The entity.';
comment on column rowferry.breakers.since is 'When counting began.';
comment on column rowferry.breakers.rows is 'How many rows the peer had then, or got since.';
comment on column rowferry.breakers.all_counted is 'The rows were counted to the end; else there are at least so many.';
comment on column rowferry.breakers.deletes is 'Deletes sent since, less the rows that came in their place.';
