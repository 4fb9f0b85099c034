-- Lets a paused link move again.
create or replace function rowferry.resume(
  p_peer text default null
)
returns table (
  peer text,
  was_paused_at timestamptz,
  pending bigint
)
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  with was as (
    select l.peer, l.paused_at from rowferry.links l where l.peer = (rowferry._link(p_peer)).peer
  ), now_moving as (
    update rowferry.links l set paused_at = null, paused_by = null from was where l.peer = was.peer
    returning l.peer, was.paused_at
  )
  select m.peer, m.paused_at, (rowferry._counts(m.peer, null)).pending from now_moving m
$$;
comment on function rowferry.resume(text) is 'Lets a paused link move again.';
revoke all on function rowferry.resume(text) from public;
