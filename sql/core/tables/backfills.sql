create table rowferry.backfills (
  entity_id integer primary key references rowferry.entities on delete cascade,
  last_key text,
  first_event_id bigint not null default 0,
  last_event_id bigint not null default 0,
  queued bigint not null default 0,
  requested_at timestamptz not null,
  requested_by text not null,
  finished_at timestamptz,
  rows_per_second integer,
  not_before timestamptz
);
comment on table rowferry.backfills is 'Each row is one entity''s backfill, which sends its existing rows a chunk at a time.';
comment on column rowferry.backfills.entity_id is 'The entity.';
comment on column rowferry.backfills.last_key is 'Last key queued; the next chunk begins after it.';
comment on column rowferry.backfills.first_event_id is 'First event of the present chunk.';
comment on column rowferry.backfills.last_event_id is 'Last event of the present chunk; the next chunk is queued once no event of this one is pending.';
comment on column rowferry.backfills.queued is 'Number of rows queued until now.';
comment on column rowferry.backfills.requested_at is 'When it was asked for.';
comment on column rowferry.backfills.requested_by is 'Who asked for it.';
comment on column rowferry.backfills.finished_at is 'When no row was left to send; rows that are held may still wait.';
comment on column rowferry.backfills.rows_per_second is 'At most this many rows are queued in a second; null: there is no limit.';
comment on column rowferry.backfills.not_before is 'When the next chunk may be queued.';

create trigger stir after insert or update on rowferry.backfills execute function rowferry._stir();
alter table rowferry.backfills enable always trigger stir;
comment on trigger stir on rowferry.backfills is 'Tells the courier to look again.';
