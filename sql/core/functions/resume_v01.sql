-- Lets a paused link or a paused entity move again.
create or replace function rowferry.resume(
  p_peer text default null,
  p_entity text default null
)
returns table (
  peer text,
  entity text,
  was_paused_at timestamptz,
  pending bigint
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
    with was as (
      select l.peer, l.paused_at from rowferry.links l where l.peer = (rowferry._link(p_peer)).peer
    ), now_moving as (
      update rowferry.links l set paused_at = null, paused_by = null from was where l.peer = was.peer
      returning l.peer, was.paused_at
    )
    select m.peer, null::text, m.paused_at, (rowferry._counts(m.peer, null)).pending from now_moving m;
    return;
  end if;
  v_entity := rowferry._find_entity(p_entity, p_peer);
  update rowferry.entities e set paused_at = null, paused_by = null where e.id = v_entity.id;
  if v_entity.paused_at is not null and v_entity.held_sqlstate is distinct from 'RF026' then
    perform rowferry._end_wait(v_entity.id);
  end if;
  return query select v_entity.peer, v_entity.name, v_entity.paused_at, (select count(*) from rowferry.events e where e.entity_id = v_entity.id);
end
$$;
comment on function rowferry.resume(text, text) is 'Lets a paused link move again, or a paused entity.';
revoke all on function rowferry.resume(text, text) from public;
