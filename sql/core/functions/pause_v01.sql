-- Holds a link still, in both directions, until resume(). Changes are captured all the same. A batch being applied is finished first.
create or replace function rowferry.pause(
  p_peer text default null
)
returns table (
  peer text,
  paused_at timestamptz,
  paused_by text
)
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  update rowferry.links l
  set paused_at = coalesce(l.paused_at, rowferry._now()), paused_by = coalesce(l.paused_by, session_user)
  where l.peer = (rowferry._link(p_peer)).peer
  returning l.peer, l.paused_at, l.paused_by
$$;
comment on function rowferry.pause(text) is 'Holds a link still until resume(); changes are captured all the same.';
revoke all on function rowferry.pause(text) from public;
