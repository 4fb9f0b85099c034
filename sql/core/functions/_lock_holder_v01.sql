-- The server process that holds an advisory lock of this database; null: none does.
create or replace function rowferry._lock_holder(
  p_key bigint
)
returns integer
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select k.pid
  from pg_locks k
  where k.locktype = 'advisory' and k.granted and k.objsubid = 1
    and k.database = (select d.oid from pg_database d where d.datname = current_database())
    and (k.classid::bigint << 32 | k.objid::bigint) = p_key
  limit 1
$$;
comment on function rowferry._lock_holder(bigint) is 'The server process that holds an advisory lock of this database.';
revoke all on function rowferry._lock_holder(bigint) from public;
