create or replace function rowferry.remove_peer(
  p_peer text,
  p_force boolean default false
)
returns setof text
language plpgsql
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set lock_timeout = '5s'
as $$
declare
  v_peer text := (rowferry._find_link(coalesce(p_peer, ''))).peer;
  v_node text := (select n.name from rowferry.node n);
  v_waiting bigint;
  v_entity text;
begin
  perform rowferry._refuse_outbox(v_peer, 'an outbox is removed by remove_outbox()',
    format('select rowferry.detach(name) from rowferry.entities where peer = %L order by id desc; then: select rowferry.remove_outbox();', v_peer));
  -- Of all links: a call that is under way would write back what this one clears in the others at its end.
  perform rowferry._link_lock(l.peer, true) from (select l.peer from rowferry.links l order by l.peer) l;
  -- Nobody writes from here on, so that nothing is given up that was not counted.
  perform rowferry._lock_tables(array(
    select e.relation from rowferry.entities e join pg_class c on c.oid = e.relation where e.peer = v_peer order by e.id));
  perform set_config('lock_timeout', '5s', true);
  v_waiting := (select count(*) from rowferry.events v join rowferry.entities e on e.id = v.entity_id where e.peer = v_peer)
    + (select count(*) from rowferry.moves m join rowferry.entities e on e.id = m.entity_id where e.peer = v_peer);
  if v_waiting > 0 and not p_force and coalesce(current_setting('rowferry.force', true), '') <> 'on' then
    raise exception using errcode = 'RF012', message = 'changes still wait for this peer', detail = format('%s: %s.', v_peer, v_waiting),
      hint = format('Let the worker deliver them: rowferry run --once; or give them up: select rowferry.remove_peer(%L, p_force => true);', v_peer);
  end if;
  loop
    -- What follows another entity goes first.
    v_entity := (select e.name from rowferry.entities e where e.peer = v_peer and not rowferry._is_followed(e) order by e.id desc limit 1);
    exit when v_entity is null;
    return query select d from rowferry.detach(v_entity, true) d;
  end loop;
  perform rowferry._forget_link(v_peer);
  -- The other peers hear at once that this one lies no longer behind this node: it may come back by another way.
  update rowferry.links l set facts_entities = null, rest_event_id = null where l.facts_entities is not null;
  return next format('%s and %s are no longer linked. Next: take %2$s out of alembic.ini, or the link, and start the worker again; '
    'on %2$s, if it is to stay: select rowferry.remove_peer(%1$L, p_force => true);', v_node, v_peer);
end
$$;
comment on function rowferry.remove_peer(text, boolean) is
  'Takes a peer out for good: it detaches all that is kept in sync with this peer, and removes its link with everything that waits for it or was noted of it, '
  'but for the conflicts, which keep rows that were given up. Other links go on. While changes wait for the peer, the call is refused, unless p_force gives '
  'them up. Call it on the other node too, if that one stays. Whoever calls it needs the rights of detach().';
