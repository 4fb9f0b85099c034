create or replace function rowferry._lock_holders(
  p_key bigint
)
returns table (
  o_pid integer,
  o_stranger boolean,
  o_object text,
  o_next text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select k.pid, w.role is not null and not exists (
      select
      from pg_roles r
      cross join unnest(array[
        'rowferry.process_batch(text, text, bytea, integer, jsonb, boolean, interval)', 'rowferry.resync(text)', 'rowferry.skip_deletes(text, text)']) f
      where pg_has_role(w.role, r.oid, 'member') and has_function_privilege(r.oid, to_regprocedure(f), 'execute')),
    coalesce('prepared transaction ' || p.gid || ' of ' || p.owner,
      format('pid %s', k.pid) || coalesce(' of ' || a.usename, '') || coalesce(', ' || nullif(a.application_name, ''), '')),
    coalesce('rollback prepared ' || quote_literal(p.gid) || ';', format('select pg_terminate_backend(%s);', k.pid))
  from pg_locks k
  left join pg_stat_activity a on a.pid = k.pid
  left join pg_locks t on k.pid is null and t.pid is null and t.locktype = 'transactionid' and t.virtualtransaction = k.virtualtransaction
  left join pg_prepared_xacts p on p.transaction = t.transactionid
  cross join lateral (select coalesce(a.usesysid, (select r.oid from pg_roles r where r.rolname = p.owner)) as role) w
  where k.locktype = 'advisory' and k.granted and k.objsubid = 1
    and k.database = (select d.oid from pg_database d where d.datname = current_database())
    and (k.classid::bigint << 32 | k.objid::bigint) = p_key
    and k.pid is distinct from pg_backend_pid()
  order by k.pid
$$;
comment on function rowferry._lock_holders(bigint) is
  'Who holds an advisory lock of this database, other than this session: sessions and prepared transactions. o_stranger says that neither the role that '
  'connected nor one of which it is a member may call a function that takes rowferry''s locks. Anybody can take an advisory lock, so one that a stranger '
  'holds does not count.';
