-- Who holds one of these locks on one of these tables, other than this session and the exchange itself: a session, or a prepared transaction (o_gid). o_since: when
-- its transaction began, at the latest; null: not known.
create or replace function rowferry._locks(
  p_relations oid[],
  p_modes text[]
)
returns table (
  o_relation oid,
  o_mode text,
  o_pid integer,
  o_gid text,
  o_since timestamptz
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select k.relation, k.mode, k.pid, p.gid, coalesce(p.prepared, a.xact_start, rowferry._seen_at(coalesce(a.backend_xid, a.backend_xmin)))
  from pg_locks k
  left join pg_stat_activity a on a.pid = k.pid
  left join pg_locks t on k.pid is null and t.pid is null and t.locktype = 'transactionid' and t.virtualtransaction = k.virtualtransaction
  left join pg_prepared_xacts p on p.transaction = t.transactionid
  where k.locktype = 'relation' and k.database = (select d.oid from pg_database d where d.datname = current_database())
    and k.granted and k.relation = any (p_relations) and k.mode = any (p_modes)
    and (k.pid is null) = (p.gid is not null)
    and k.pid is distinct from pg_backend_pid()
    and not exists (select from rowferry.links l where rowferry._lock_holder(hashtextextended('rowferry link ' || l.peer, 0)) = k.pid)
$$;
comment on function rowferry._locks(oid[], text[]) is 'Who holds one of these locks on one of these tables.';
revoke all on function rowferry._locks(oid[], text[]) from public;
