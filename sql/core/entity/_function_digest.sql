create or replace function rowferry._function_digest(
  p_function oid
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select md5(jsonb_build_array(p.prosrc, rowferry._plain_settings(p.proconfig), p.prosecdef, p.provolatile, p.proparallel, p.proisstrict, p.proretset,
    p.prorettype::regtype::text,
    l.lanname, p.proargnames, p.proargmodes, p.pronargdefaults)::text)
  from pg_proc p
  join pg_language l on l.oid = p.prolang
  where p.oid = p_function
$$;
comment on function rowferry._function_digest(oid) is
  'Digest of a function''s body and of all that decides how it runs, whatever version of PostgreSQL prints it. Owner and rights are not in it.';
