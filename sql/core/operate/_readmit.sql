create or replace function rowferry._readmit(
  p_peer text
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_entities integer[] := array(select n.id from rowferry.entities n where n.peer = p_peer);
  v_name text;
  v_run_id bigint;
begin
  perform pg_current_xact_id();  -- before an event's number is drawn: see _at_rest()
  delete from rowferry.events e where e.entity_id = any (v_entities);
  delete from rowferry.held_events h where h.entity_id = any (v_entities);
  delete from rowferry.missing_parents m where m.entity_id = any (v_entities);
  delete from rowferry.moves m where m.entity_id = any (v_entities);
  -- What a person has given up stays given up: the event is gone, and in its place the peer is asked for its row, as after any skip.
  with given_up as (
    select s.id, s.entity_id, s.record_id, n.direction <> 'send' and not rowferry._is_outside(n, s.record_id) as asks
    from rowferry.skips s
    join rowferry.entities n on n.id = s.entity_id
    where s.peer = p_peer and s.done_at is null and s.ended_at is null
    order by s.id
  ), asked as (
    insert into rowferry.events (changed_at, entity_id, event_type, record_id)
    select rowferry._now(), g.entity_id, 'q', g.record_id from given_up g where g.asks
  )
  update rowferry.skips s
  set done_at = rowferry._now(), kept = not g.asks,
    outcome = case when g.asks then s.outcome else format('%s keeps its row, and this node its own: different on purpose', p_peer) end
  from given_up g
  where s.id = g.id;
  update rowferry.comparisons c set state = 'failed', error = 'the link was cut', finished_at = rowferry._now()
  where c.peer = p_peer and c.state in ('queued', 'walking', 'resolving');
  for v_name in select e.name from rowferry.entities e where e.peer = p_peer and e.direction <> 'receive' order by e.id loop
    v_run_id := (rowferry._compare_start(v_name, 'first_contact')).id;
    update rowferry.comparisons c set only_here_choice = 'here', only_there_choice = 'here', different_choice = 'here' where c.id = v_run_id;
  end loop;
end
$$;
comment on function rowferry._readmit(text) is
  'Takes in again the peer of a link that was cut. What is left of its events goes, and each entity that this node sends is compared, with the choice made '
  'beforehand: the row here stays. Records of which the peer has changes of its own are left to these changes, and what a person gave up stays given up.';
