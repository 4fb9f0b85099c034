create or replace function rowferry._patient(
  p_users boolean default true
)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_call constant interval := current_setting('statement_timeout')::interval;
  v_server constant interval := current_setting('deadlock_timeout')::interval;
begin
  if v_call > v_server or not p_users then
    return v_call > v_server;
  end if;
  return exists (select from rowferry.links l where l.users_timeout < v_server and (v_call > l.users_timeout or v_call = interval '0'));
end
$$;
comment on function rowferry._patient(boolean) is
  'Whether the present call may last longer than users wait before they look for deadlocks: it was given more time for a large row, or (unless p_users is '
  'false) a role or this database has a deadlock_timeout of its own that is shorter than that of the server.';
