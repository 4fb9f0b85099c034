-- Commits that wait for a synchronous standby which does not answer: since when, and what says so. Such a transaction has written its commit here, and keeps its locks until the standby has it too. Without
-- pg_read_all_stats nobody is seen to wait, only that a standby is asked for and none is connected.
create or replace function rowferry._standby_waited_for(
  out o_cause text,
  out o_since timestamptz,
  out o_object text
)
returns setof record
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select 'each commit waits for a synchronous standby, ' || case when w.since is null then 'and none is connected' else 'which does not answer' end,
    w.since, format('setting synchronous_standby_names = %L', s.names)
  from (values (current_setting('synchronous_standby_names'))) s (names)
  cross join (
    select min(a.state_change) from pg_stat_activity a
    where a.wait_event = 'SyncRep' and a.state_change < rowferry._now() - interval '10 s') w (since)
  where s.names <> '' and (w.since is not null or not exists (select from pg_stat_replication))
$$;
comment on function rowferry._standby_waited_for() is 'For why_stuck(): whether commits wait for a synchronous standby that does not answer.';
