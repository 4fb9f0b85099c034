-- Errors that say nothing about a row: connection, transaction rollback, resources, operator intervention, system. The envelope is tried again as it is.
create or replace function rowferry._is_transient(
  p_sqlstate text
)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$ select left(p_sqlstate, 2) in ('08', '40', '53', '57', '58') $$;
comment on function rowferry._is_transient(text) is 'Whether an error says nothing about a row.';
revoke all on function rowferry._is_transient(text) from public;
