create table rowferry.waiting_runs (
  entity_id integer primary key references rowferry.entities on delete cascade,
  ids int8multirange not null,
  last_id bigint not null
);
comment on table rowferry.waiting_runs is 'Long runs of events whose entity is paused or waits for approve(), so that no call has to walk through them.';
comment on column rowferry.waiting_runs.entity_id is 'The entity.';
comment on column rowferry.waiting_runs.ids is 'Its events, as ranges of ids in which there is no other event.';
comment on column rowferry.waiting_runs.last_id is 'Id up to which the queue was searched.';
