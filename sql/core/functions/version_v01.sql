-- Version of the installed schema: the number of the newest core revision.
create or replace function rowferry.version()
returns integer
language sql
immutable
parallel safe
set search_path = pg_catalog, pg_temp
as $$ select 10 $$;
comment on function rowferry.version() is 'Version of the installed schema of rowferry.';
revoke all on function rowferry.version() from public;
