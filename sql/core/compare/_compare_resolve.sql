create or replace function rowferry._compare_resolve(
  p_run rowferry.comparisons,
  p_entity rowferry.entities,
  p_limit integer
)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_keys text[];
  v_there text[];
  v_newest text[];
  v_column text := substring(p_run.different_choice from '^newest by (.*)$');
  v_read record;
begin
  if exists (
    select from rowferry.events v
    where v.id between p_run.first_event_id and p_run.last_event_id and v.entity_id = p_entity.id and v.event_type in ('b', 'q')
      and not exists (select from rowferry.held_events h where h.event_id = v.id and (h.attempts > 0 or h.parent_record_id is not null))
  ) then
    return null;
  end if;
  select array_agg(d.record_id), array_agg(d.record_id) filter (where d.choice = 'there'), array_agg(d.record_id) filter (where d.choice like 'newest by %')
  into v_keys, v_there, v_newest
  from (
    select c.record_id, c.choice
    from (
      select d.record_id, case d.kind when 'only_here' then p_run.only_here_choice when 'only_there' then p_run.only_there_choice
        when 'different' then p_run.different_choice end as choice
      from rowferry.compared_records d
      where d.run_id = p_run.id and (p_run.walked_to is null or d.record_key > rowferry._index_key(p_run.walked_to))
      order by d.record_key
    ) c
    where c.choice is not null
    -- Rows that may refer to each other go together.
    limit case when not exists (
      select from rowferry._foreign_keys f where f.child_id = p_entity.id and f.parent_id = p_entity.id) then least(p_limit, 5000) end
  ) d;
  if v_keys is null then
    update rowferry.comparisons c set state = 'resolved', finished_at = rowferry._now() where c.id = p_run.id;
    -- Nothing that either node had is unknown to the other one any more.
    update rowferry.entities e set unsettled_since = null
    where e.id = p_entity.id and e.unsettled_since <= p_run.requested_at and p_run.pending = 0
      and num_nulls(p_run.only_here_choice, p_run.only_there_choice, p_run.different_choice) = 0
      and not exists (select from rowferry.held_events h where h.entity_id = e.id and (h.attempts > 0 or h.parent_record_id is not null));
    return null;
  elsif v_newest is null then
    perform rowferry._compare_queue(p_run.id, p_entity.id, v_keys, coalesce(v_there, '{}'));
    return null;
  end if;
  execute format('select * from rowferry.%I($1, null)', rowferry._generated_name('read_', p_entity.name)) into v_read using v_newest;
  perform rowferry._left_nothing();
  return jsonb_build_object('kind', 'newest', 'column', v_column, 'keys', coalesce(v_read.o_keys, '{}')::text,
    'values', coalesce(v_read.o_columns[array_position(p_entity.columns, v_column)], '{}'),
    'told', jsonb_build_object('keys', v_keys::text, 'there', coalesce(v_there, '{}')::text));
end
$$;
comment on function rowferry._compare_resolve(rowferry.comparisons, rowferry.entities, integer) is
  'Queues the next differences of a comparison as its choices say, once the events of those before have been acknowledged. If the choice depends on the rows '
  'of both nodes, it returns a question for the peer instead.';
