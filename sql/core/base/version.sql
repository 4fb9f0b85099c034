create or replace function rowferry.version()
returns integer
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$ select 4 $$;
comment on function rowferry.version() is 'Version of the installed schema: the number of the newest revision of core.';
