create or replace function rowferry._anything_waits(
  p_first_id bigint,
  p_left int8multirange
)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
  return exists (
      select
      from unnest(int8multirange(int8range(p_first_id, 9223372036854775807)) - p_left) g
      cross join lateral (select from rowferry.events e where e.id >= lower(g) and e.id < upper(g) order by e.id limit 1) e
    ) or exists (select from rowferry.held_events)
    or exists (select from rowferry.missing_parents)
    or exists (select from rowferry.moves)
    or exists (select from rowferry.skips s where s.done_at is null)
    or exists (select from rowferry.backfills b where b.finished_at is null)
    or exists (select from rowferry.comparisons c where c.state in ('queued', 'walking', 'resolving'));
end
$$;
comment on function rowferry._anything_waits(bigint, int8multirange) is
  'Whether anything may wait on a link, whatever its entity. It costs little, because most calls of a link at rest find nothing. p_left has the events that '
  'were removed from the queue in this call, past which the search need not walk.';
