create or replace function rowferry.pause(
  p_peer text default null,
  p_entity text default null
)
returns table (
  peer text,
  entity text,
  paused_at timestamptz,
  paused_by text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_entity rowferry.entities;
begin
  if p_entity is null then
    return query
    update rowferry.links l
    set paused_at = coalesce(l.paused_at, rowferry._now()), paused_by = coalesce(l.paused_by, session_user)
    where l.peer = (rowferry._find_link(p_peer)).peer
    returning l.peer, null::text, l.paused_at, l.paused_by;
    return;
  end if;
  v_entity := rowferry._find_entity(p_entity, p_peer);
  update rowferry.entities e
  set paused_at = coalesce(e.paused_at, rowferry._now()), paused_by = coalesce(e.paused_by, session_user)
  where e.id = v_entity.id;
  if v_entity.held_sqlstate is distinct from 'RF026' then
    perform rowferry._end_wait(v_entity.id);
  end if;
  return query select e.peer, e.name, e.paused_at, e.paused_by from rowferry.entities e where e.id = v_entity.id;
end
$$;
comment on function rowferry.pause(text, text) is
  'Holds a link still in both directions until resume(), or one entity of it while all others move. Changes are captured all the same. A batch that is being '
  'applied is finished first, and one that is on its way arrives.';
