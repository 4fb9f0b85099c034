create or replace view rowferry.backfill_progress as
select e.name as entity, e.peer,
  case when b.finished_at is not null then 'finished' when e.held_attempts > 0 then 'held' when b.queued = 0 then 'queued' else 'sending' end as state,
  b.queued, greatest(b.queued, r.estimated_rows) as estimated_rows,
  case when b.finished_at is not null then 100.0 else round(100.0 * b.queued / greatest(b.queued, r.estimated_rows, 1), 1) end as percent,
  round(b.queued / greatest(extract(epoch from coalesce(b.finished_at, clock_timestamp()) - b.requested_at), 0.001)::numeric) as rate,
  b.rows_per_second as most_rate, b.requested_at, b.requested_by, b.finished_at
from rowferry.backfills b
join rowferry.entities e on e.id = b.entity_id
cross join lateral (select rowferry._estimated_rows(e.relation) as estimated_rows) r
order by b.requested_at;
comment on view rowferry.backfill_progress is E'How far each backfill is; \\watch shows it going.';
comment on column rowferry.backfill_progress.entity is 'What is sent.';
comment on column rowferry.backfill_progress.peer is 'To whom.';
comment on column rowferry.backfill_progress.state is 'queued (or waits for the tables it refers to), sending, held (the entity as a whole), finished.';
comment on column rowferry.backfill_progress.queued is 'Rows queued so far.';
comment on column rowferry.backfill_progress.estimated_rows is 'Rows of the table, by the server''s statistics.';
comment on column rowferry.backfill_progress.percent is 'How much of it is queued.';
comment on column rowferry.backfill_progress.rate is 'Rows a second since it was asked for.';
comment on column rowferry.backfill_progress.most_rate is 'Rows a second that it may reach; null: there is no limit.';
comment on column rowferry.backfill_progress.requested_at is 'When it was asked for.';
comment on column rowferry.backfill_progress.requested_by is 'By whom.';
comment on column rowferry.backfill_progress.finished_at is 'When no row was left to send; rows that are held may still wait.';
