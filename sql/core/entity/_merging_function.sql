create or replace function rowferry._merging_function()
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
  select min(p.oid::regprocedure::text collate "C")
  from pg_proc p
  join pg_language l on l.oid = p.prolang and l.lanname not in ('internal', 'c')
  where rowferry._server_warning(current_setting('server_version_num')::integer) is not null
    and p.pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'rowferry'::regnamespace)
    and coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) ~* E'\\mmerge\\s+into\\M'
$$;
comment on function rowferry._merging_function() is
  'A user''s function that contains MERGE INTO, on a server whose MERGE may hide changes from capture; null: none. What applications send by themselves '
  'cannot be seen.';
