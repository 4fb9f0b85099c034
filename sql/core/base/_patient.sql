create or replace function rowferry._patient(
  p_users boolean default true
)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select s.call > s.server
    or p_users and exists (select from rowferry.links l where l.users_timeout < s.server and (s.call > l.users_timeout or s.call = interval '0'))
  from (select current_setting('statement_timeout')::interval, current_setting('deadlock_timeout')::interval) s (call, server)
$$;
comment on function rowferry._patient(boolean) is
  'Whether the present call may last longer than users wait before they look for deadlocks: it was given more time for a large row, or (unless p_users is '
  'false) a role or this database has a deadlock_timeout of its own that is shorter than that of the server.';
