-- Whether the present call may outlast the moment at which a user who waits for it looks for deadlocks: it was given more time for a large row.
create or replace function rowferry._patient()
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$ select current_setting('statement_timeout')::interval > current_setting('deadlock_timeout')::interval $$;
comment on function rowferry._patient() is 'Whether the present call may take longer than users wait before they look for deadlocks.';
revoke all on function rowferry._patient() from public;
