create or replace function rowferry._stuck_transactions(
  p_peer text
)
returns setof rowferry._cause
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  select case when u.since is null then 'info' else 'warning' end,
    case when u.events then 'a transaction has changed tables in sync and has not committed: its changes do not go before it does'
      else 'a transaction has changed rowferry.links and has not committed: each exchange waits for it' end,
    u.since, u.o_object, u.o_next
  from (
    select k.o_object, k.o_next, coalesce(k.o_began_at, rowferry._seen_at(k.o_xid)) as since, bool_or(k.o_relation = 'rowferry.events'::regclass) as events
    from rowferry._locks(array['rowferry.events'::regclass, 'rowferry.links'::regclass], array['RowExclusiveLock']) k
    -- The session that holds the lock of the link gets a line for that.
    where k.o_pid is null or k.o_pid is distinct from rowferry._lock_holder(rowferry._link_key(p_peer))
    group by 1, 2, 3
  ) u
  -- If this role cannot see when a transaction began, it counts as old once no batch has been noted for 10 s.
  where coalesce(u.since < rowferry._now() - interval '10 s',
    not exists (select from rowferry.batches b where b.peer = p_peer and b.at > rowferry._now() - interval '10 s'))
  order by u.since, u.o_object
  limit 5;
end
$$;
comment on function rowferry._stuck_transactions(text) is
  'For why_stuck(): transactions that have changed what is kept in sync, or the link, and have not committed.';
