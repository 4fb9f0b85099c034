create or replace function rowferry._locks(
  p_relations oid[],
  p_modes text[]
)
returns table (
  o_relation oid,
  o_mode text,
  o_pid integer,
  o_gid text,
  o_began_at timestamptz,
  o_xid xid,
  o_object text,
  o_next text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select k.relation, k.mode, k.pid, p.gid, coalesce(p.prepared, a.xact_start), coalesce(a.backend_xid, a.backend_xmin),
    coalesce('prepared transaction ' || p.gid, rowferry._session(k.pid)),
    coalesce('rollback prepared ' || quote_literal(p.gid) || ';  -- or commit prepared',
      format('select pg_terminate_backend(%s);  -- or wait until it ends', k.pid))
  from pg_locks k
  left join pg_stat_activity a on a.pid = k.pid
  left join pg_locks t on k.pid is null and t.pid is null and t.locktype = 'transactionid' and t.virtualtransaction = k.virtualtransaction
  left join pg_prepared_xacts p on p.transaction = t.transactionid
  where k.locktype = 'relation' and k.database = (select d.oid from pg_database d where d.datname = current_database())
    and k.granted and k.relation = any (p_relations) and k.mode = any (p_modes)
    and (k.pid is null) = (p.gid is not null)
    and k.pid is distinct from pg_backend_pid()
$$;
comment on function rowferry._locks(oid[], text[]) is
  'Who holds one of these locks on one of these tables, other than this session: a session or a prepared transaction (o_gid), with what to type to end it. '
  'o_began_at is when its transaction began; it is null if this role may not see that, and then o_xid may tell. The function reads no table, so that it '
  'never waits for the locks that it looks for.';
