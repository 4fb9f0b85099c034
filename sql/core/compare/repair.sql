create or replace function rowferry.repair(
  p_entity text,
  p_from text,
  p_dry_run boolean default true,
  p_run bigint default null
)
returns table (
  run_id bigint,
  record_id text,
  kind text,
  action text,
  state text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_name text := (rowferry._find_entity(p_entity)).name;
  v_node text := (select n.name from rowferry.node n);
  v_run rowferry.comparisons;
  v_choice text;
  v_open rowferry.comparisons;
begin
  select c.* into v_run
  from rowferry.comparisons c
  where c.entity = v_name and c.id = coalesce(p_run, c.id) and (c.state in ('finished', 'resolved') or c.id = p_run)
  order by c.id desc limit 1
  for update;
  if not found or v_run.state not in ('finished', 'resolved') then
    raise exception using errcode = 'RF050', message = 'no comparison of this entity has finished, or not the one that was named',
      detail = format('%s, run %s: %s.', p_entity, coalesce(p_run::text, 'not named'), coalesce(v_run.state, 'none')),
      hint = format('select * from rowferry.compare(%L); then look at rowferry.compare_runs until it has finished.', p_entity);
  end if;
  if p_run is null then
    select c.* into v_open
    from rowferry.comparisons c
    where c.entity = v_name and c.id > v_run.id and c.state in ('queued', 'walking', 'resolving')
    order by c.id desc limit 1;
    if found then
      raise exception using errcode = 'RF050', message = 'a newer comparison of this entity is still running',
        detail = format('%s, run %s: %s.', v_name, v_open.id, v_open.state),
        hint = format('select * from rowferry.compare_runs where run_id = %s;  -- wait until it is %s; or, by what run %s has found: '
            'select * from rowferry.repair(%L, p_from => %L, p_run => %3$s);',
          v_open.id, case v_open.state when 'resolving' then 'resolved' else 'finished' end, v_run.id, v_name, p_from);
    end if;
  end if;
  v_choice := case p_from when v_node then 'here' when v_run.peer then 'there' end;
  if v_choice is null then
    raise exception using errcode = 'RF051', message = 'p_from must be one of the two nodes',
      detail = format('%s is neither %s nor %s.', p_from, v_node, v_run.peer),
      hint = format('select * from rowferry.repair(%L, p_from => %L);', p_entity, v_node);
  end if;
  perform rowferry._refuse_wrong_direction(rowferry._find_entity(p_entity), v_choice = 'here');
  if p_run is null and v_run.state = 'resolved' then
    run_id := v_run.id;
    state := format('nothing is done: what run %s found was resolved at %s; to look again: select * from rowferry.compare(%L);', v_run.id,
      to_char(v_run.finished_at, 'YYYY-MM-DD HH24:MI:SS'), v_name);
    return next;
    return;
  end if;
  if not p_dry_run then
    perform rowferry._compare_choose(v_run.id, v_choice, v_choice, v_choice);
  end if;
  return query
  select d.run_id, d.record_id, d.kind,
    format('%s on %s', case when d.kind = 'different' then 'update' when (d.kind = 'only_here') = (v_choice = 'here') then 'insert' else 'delete' end,
      case v_choice when 'here' then v_run.peer else v_node end),
    concat_ws('; ', case when p_dry_run then 'would be done: p_dry_run => false' else 'queued' end, d.note)
  from rowferry.compared_records d
  where d.run_id = v_run.id and d.kind <> 'pending'
  order by d.record_id;
end
$$;
comment on function rowferry.repair(text, text, boolean, bigint) is
  'Makes the rows that a comparison found to differ equal, by the rows of one node: select * from rowferry.repair(''accounts'', p_from => ''crm''); That '
  'only shows what would be done; with p_dry_run => false it is queued. If p_run is left out, the last comparison of the entity is used: while it runs, the '
  'call is refused, and once it is resolved, nothing is done. A change that users make in the meantime stays.';
