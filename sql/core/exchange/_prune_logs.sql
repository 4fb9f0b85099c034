create or replace function rowferry._prune_logs()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  v_before constant timestamptz := rowferry._now() - (select n.retention from rowferry.node n);
begin
  delete from rowferry.conflicts c
  where c.id in (
    select o.id
    from (
      select r.id, r.decided_at, sum(r.size) over (order by r.id) - r.size as before
      from (
        select f.id, f.decided_at,
          coalesce(pg_column_size(f.winner_row), 0) + coalesce(pg_column_size(f.loser_row), 0) + coalesce(pg_column_size(f.merged_row), 0) as size
        from rowferry.conflicts f order by f.id limit 100 for update skip locked) r) o
    where o.decided_at < v_before and o.before < 1000000);
  delete from rowferry.skips s
  where s.id in (
    select o.id
    from (
      select r.id, r.ended_at, sum(r.size) over (order by r.ended_at, r.id) - r.size as before
      from (
        select f.id, f.ended_at, coalesce(pg_column_size(f.image), 0) as size
        from rowferry.skips f where f.ended_at is not null order by f.ended_at limit 100 for update skip locked) r) o
    where o.ended_at < v_before and o.before < 1000000);
end
$$;
comment on function rowferry._prune_logs() is
  'Removes a few of the oldest conflicts and closed skips, once they are older than set_retention() says: at most 100 rows, and no more than a megabyte '
  'besides the first. _log_batch() calls it only if the oldest of either is as old as that.';
