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
  delete from rowferry.events e where e.entity_id = any (v_entities);
  delete from rowferry.held_events h where h.entity_id = any (v_entities);
  delete from rowferry.missing_parents m where m.entity_id = any (v_entities);
  delete from rowferry.moves m where m.entity_id = any (v_entities);
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
  'beforehand: the row here stays. Records of which the peer has changes of its own are left to these changes.';
