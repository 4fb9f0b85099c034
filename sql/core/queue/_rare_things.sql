create or replace function rowferry._rare_things()
returns rowferry._rare
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
  return row(
    exists (select from rowferry.held_events),
    exists (select from rowferry.entities e where e.held_attempts > 0 or e.paused_at is not null or e.held_until is not null),
    exists (select from rowferry.missing_parents),
    exists (select from rowferry.moves) or exists (select from rowferry._queue q where q.event_type = 'w')
      or exists (select from rowferry._queue q where q.event_type = 'd' and q.placed),
    exists (select from rowferry.skips s where s.done_at is null),
    exists (select from rowferry.backfills b where b.finished_at is null),
    exists (select from rowferry.comparisons c where c.state in ('queued', 'walking', 'resolving')))::rowferry._rare;
end
$$;
comment on function rowferry._rare_things() is 'Which of the rare things there are now, found in one statement.';
