create table rowferry.waiting_runs (
  entity_id integer primary key references rowferry.entities on delete cascade,
  ids int8multirange not null,
  last_id bigint not null
);
comment on table rowferry.waiting_runs is 'Long runs of events of entities that are paused or wait for approve(), so that no call has to walk through them.';
comment on column rowferry.waiting_runs.entity_id is 'The entity.';
comment on column rowferry.waiting_runs.ids is 'Its events, as ranges in which there are no others.';
comment on column rowferry.waiting_runs.last_id is 'Looked at up to here.';
