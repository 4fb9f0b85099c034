create or replace function rowferry.resume(
  p_peer text default null,
  p_entity text default null
)
returns table (
  peer text,
  entity text,
  was_paused_at timestamptz,
  pending bigint,
  state text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_link rowferry.links;
  v_entity rowferry.entities;
begin
  if p_entity is null then
    v_link := rowferry._find_link(p_peer);
    -- set_backlog_limit() gives it time anew.
    update rowferry.links l set paused_at = null, paused_by = null, backlog_since = null where l.peer = v_link.peer;
    peer := v_link.peer;
    was_paused_at := v_link.paused_at;
    pending := (rowferry._counts(v_link.peer, null)).pending;
    state := case
      when v_link.paused_at is not null then 'it moves again'
      when v_link.courier_error ->> 'message' like 'the link is paused there%' then
        format('not paused here; %s says: %s. Next: select * from rowferry.resume(%s);  -- on %1$s', v_link.peer, v_link.courier_error ->> 'message',
          (select quote_literal(n.name) from rowferry.node n where v_link.spoke is not null))
      else coalesce((
        select format('not paused here as a whole, but of it: %s. Next: select rowferry.resume(%L, name) from rowferry.entities '
            'where peer = %2$L and paused_at is not null;',
          string_agg(e.name, ', ' order by e.id), v_link.peer)
        from rowferry.entities e where e.peer = v_link.peer and e.paused_at is not null having count(*) > 0),
        format('not paused here; whether it is there: select * from rowferry.status;  -- on %s', v_link.peer)) end;
    return next;
    return;
  end if;
  v_entity := rowferry._find_entity(p_entity, p_peer);
  update rowferry.entities e set paused_at = null, paused_by = null where e.id = v_entity.id;
  if v_entity.paused_at is not null and v_entity.held_sqlstate is distinct from 'RF026' then
    perform rowferry._end_wait(v_entity.id);
  end if;
  peer := v_entity.peer;
  entity := v_entity.name;
  was_paused_at := v_entity.paused_at;
  pending := (select count(*) from rowferry.events e where e.entity_id = v_entity.id);
  state := case
    when v_entity.paused_at is not null then 'it moves again'
    when v_entity.held_sqlstate = 'RF027' then format('not paused here; %s says: %s. %s', v_entity.peer, v_entity.held_error, v_entity.held_hint)
    else format('not paused here; whether it is there: select name, paused_at from rowferry.entities;  -- on %s', v_entity.peer) end;
  return next;
end
$$;
comment on function rowferry.resume(text, text) is
  'Lets a paused link or a paused entity move again. What is paused on the other node only has to be resumed there: state says so.';
