create or replace function rowferry._local_type(
  p_type text
)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select rtrim(p_type, '[]') in ('oid', 'oidvector', 'xid', 'cid', 'tid', 'regproc', 'regprocedure', 'regoper', 'regoperator', 'regclass', 'regcollation',
    'regtype', 'regrole', 'regnamespace', 'regconfig', 'regdictionary', 'pg_snapshot', 'txid_snapshot', 'xid8')
$$;
comment on function rowferry._local_type(text) is
  'Whether values of a type, or of an array of it, have a meaning in this database only, so that they cannot travel.';
