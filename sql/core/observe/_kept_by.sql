create or replace function rowferry._kept_by()
returns table (
  o_since timestamptz,
  o_object text,
  o_next text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with holders (xid, began_at, object, next) as (
    select p.transaction, p.prepared, format('prepared transaction %s of %s', p.gid, p.owner), format('rollback prepared %L;  -- or commit prepared', p.gid)
    from pg_prepared_xacts p
    where p.database = current_database()
    union all
    select s.xmin, null, format('replication slot %s', s.slot_name),
      case when s.active then format('select * from pg_stat_replication where pid = %s;  -- a snapshot of the standby', s.active_pid)
        else format('select pg_drop_replication_slot(%L);  -- unless its standby comes back', s.slot_name) end
    from pg_replication_slots s
    where s.xmin is not null
    union all
    select case when a.backend_xid is null or age(a.backend_xmin) > age(a.backend_xid) then a.backend_xmin else a.backend_xid end, a.xact_start,
      rowferry._session(a.pid), format('select pg_terminate_backend(%s);', a.pid)
    from pg_stat_activity a
    where a.usesysid is not null and a.pid <> pg_backend_pid() and (a.datid is null or a.datname = current_database())
      and coalesce(a.backend_xid, a.backend_xmin) is not null
      and not exists (select from pg_replication_slots s where s.active_pid = a.pid)
      and not exists (select from pg_stat_activity o where o.backend_xid = a.backend_xmin and a.backend_xid is null)
      and not exists (select from pg_prepared_xacts o where o.transaction = a.backend_xmin and a.backend_xid is null)
  )
  select coalesce(h.began_at, rowferry._seen_at(h.xid)), h.object, h.next
  from holders h
  order by age(h.xid) desc
$$;
comment on function rowferry._kept_by() is
  'What keeps dead rows of this database from being removed, the oldest first: sessions, prepared transactions and replication slots, each with what to type. '
  'A snapshot that only keeps what another transaction keeps anyway is left out, so that the one to end is named.';
