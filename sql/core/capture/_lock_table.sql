create or replace function rowferry._lock_table(
  p_table regclass,
  p_readers_too boolean default false
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (
    select from pg_locks l join pg_class c on c.oid = l.relation
    where l.pid = pg_backend_pid() and l.granted and l.mode in ('ShareRowExclusiveLock', 'AccessExclusiveLock') and l.relation <> p_table
      and c.relnamespace <> 'rowferry'::regnamespace
  ) then
    -- A user who has this table may come to wait for one that this transaction has, and PostgreSQL may end the user's transaction for it.
    perform set_config('lock_timeout', least(nullif(extract(epoch from current_setting('lock_timeout')::interval), 0),
      0.7 * extract(epoch from current_setting('deadlock_timeout')::interval)) || 's', true);
  end if;
  if p_readers_too then
    execute format('lock table %s in access exclusive mode', p_table);
  else
    execute format('lock table %s in share row exclusive mode', p_table);
  end if;
exception
  when lock_not_available then
    raise exception using errcode = '55P03', message = 'the table is in use by a transaction that stays open',
      detail = format('%s; processes that hold it: %s.', p_table, coalesce((
        select string_agg(distinct coalesce(l.pid::text, format('prepared transaction %L', x.gid)), ', ')
        from pg_locks l
        left join pg_prepared_xacts x on l.pid is null and l.virtualtransaction = '-1/' || x.transaction
        where l.locktype = 'relation' and l.relation in (select p_table union all select t.relid from pg_partition_tree(p_table) t) and l.granted
          and l.pid is distinct from pg_backend_pid() and l.database = (select d.oid from pg_database d where d.datname = current_database())
          -- A session that only reads or locks rows is in the way only if readers are to be locked out.
          and (p_readers_too or l.mode not in ('AccessShareLock', 'RowShareLock'))), 'gone by now')),
      hint = 'Nothing was changed. Try again when it has ended, or end it: select pg_terminate_backend(pid); or rollback prepared ''name'';';
end
$$;
comment on function rowferry._lock_table(regclass, boolean) is
  'Locks a table against writers, or (p_readers_too) against everybody. It waits for as long as lock_timeout says and then names who is in the way. '
  'If the transaction has locked another table of the users, it waits less long than PostgreSQL does before it looks for a deadlock.';
