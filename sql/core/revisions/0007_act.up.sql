alter table rowferry.links add column told_paused text[] not null default '{}';
comment on column rowferry.links.told_paused is 'Entities paused here that the last envelope named; once one is named no more, the peer sends it again.';

alter table rowferry.entities add column paused_at timestamptz;
alter table rowferry.entities add column paused_by text;
alter table rowferry.entities add column truncate_rule text not null default 'refuse';
alter table rowferry.entities add column breaker_share real default 0.5;
alter table rowferry.entities add column breaker_rows integer not null default 100;
alter table rowferry.entities add column approved_to bigint not null default 0;
comment on column rowferry.entities.paused_at is 'Since when pause() holds it still; null when it may move.';
comment on column rowferry.entities.paused_by is 'Who paused it.';
comment on column rowferry.entities.truncate_rule is 'What TRUNCATE of the table does: refuse, or propagate (its rows are deleted on the peer, once approved).';
comment on column rowferry.entities.breaker_share is 'More deletes than this share of the rows wait for approve(); null: none does.';
comment on column rowferry.entities.breaker_rows is 'The breaker is off while there are fewer rows than this.';
comment on column rowferry.entities.approved_to is 'Deletes up to this event have been approved.';

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

create table rowferry.waiting_runs (
  entity_id integer primary key references rowferry.entities on delete cascade,
  ids int8multirange not null,
  last_id bigint not null
);
comment on table rowferry.waiting_runs is 'Long runs of events of entities that are paused or wait for approve(), so that no call has to walk through them.';
comment on column rowferry.waiting_runs.entity_id is 'The entity.';
comment on column rowferry.waiting_runs.ids is 'Its events, as ranges in which there are no others.';
comment on column rowferry.waiting_runs.last_id is 'Looked at up to here.';

alter table rowferry.skips add column image jsonb;
comment on column rowferry.skips.image is 'The row as it was here when it was given up, each value as its type prints it; null: it was gone, could not be read, or an orphan rule gave it up (then conflicts has it).';
