create or replace function rowferry._hopeless(
  p_section rowferry._section,
  p_state text,
  p_sections rowferry._section[],
  p_needs rowferry._need[],
  p_refused rowferry._not_taken[]
)
returns rowferry._not_taken[]
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan  -- the needs are hashed once, not scanned for each step
as $$
declare
  v_keys text[];
  v_holders text[];
  v_constraints text[];
  v_moving text[];
  v_state text;
  v_context text;
begin
  begin
    if p_state = '23503' then
      execute format('select * from rowferry.%I($1, $2)', rowferry._generated_name('lacking_', p_section.entity)) into v_keys, v_constraints
      using p_section.column_values, p_section.keys;
    elsif p_state is not null then
      execute format('select o_keys, o_holders, o_constraints from rowferry.%I($1, $2)', rowferry._generated_name('wanting_', p_section.entity))
      into v_keys, v_holders, v_constraints
      using p_section.column_values, p_section.keys;
      v_moving := array(
        select unnest((p_sections[i]).keys || (p_sections[i]).gone) from generate_subscripts(p_sections, 1) i where (p_sections[i]).entity = p_section.entity);
    end if;
    perform rowferry._left_nothing();
  exception
    -- A table that cannot be read: its rows are tried one by one.
    when others or assert_failure then
      get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context;
      if rowferry._is_transient(v_state, v_context) then
        raise;
      end if;
      return null;
  end;
  return (
    with recursive direct (record_id, message, name) as materialized (
      select distinct on (m.record_id) m.record_id, case p_state when '23503' then format('violates foreign key constraint "%s", its parent is missing', m.name)
        else format('violates "%s": row %s has this value', m.name, m.holder) end, m.name
      from unnest(v_keys, v_constraints, v_holders) m (record_id, name, holder)
      where case p_state when '23503' then (p_section.entity, m.record_id) not in (select n.entity, n.record_id from unnest(p_needs) n)
        else m.holder not in (select unnest(v_moving)) end
    ), referred (child_id, name, entity_id, record_id) as materialized (
      select p.child_id, p.constraint_name, p.entity_id, p.record_id
      from rowferry._parent_records(p_section) p
      where p_state = '23503'
    ), lacked (entity_id, record_id, parent) as materialized (
      select r.entity_id, r.record_id, jsonb_build_object('parent', jsonb_build_object('entity', n.name, 'record_id', r.record_id),
        'parent_deleted', rowferry._is_deleted(n.id, r.record_id))
      from (select distinct r.entity_id, r.record_id from direct d join referred r on (r.child_id, r.name) = (d.record_id, d.name)) r
      join rowferry.entities n on n.id = r.entity_id
    ), parents (record_id, name, parent) as materialized (
      select r.child_id, r.name, l.parent from referred r join lacked l using (entity_id, record_id)
    ), hopeless (entity, record_id, state, message, parent, how) as (
      select p_section.entity, d.record_id, p_state, d.message, p.parent, 'direct' from direct d left join parents p using (record_id, name)
      union all
      select r.entity, k, r.refusal ->> 'sqlstate', null, null, 'refused'
      from unnest(p_refused) r cross join lateral unnest(r.records) k
      where r.why = 'refused'
      union
      select n.entity, n.record_id, case when n.state = '23505' and h.state = '23P01' then h.state else n.state end,
        format('needs %s %s, which is refused', h.entity, h.record_id),
        case n.state when '23503' then jsonb_build_object('parent', jsonb_build_object('entity', h.entity, 'record_id', h.record_id)) end, 'needs'
      from hopeless h join unnest(p_needs) n on (n.needed_entity, n.needed_record_id) = (h.entity, h.record_id)
    )
    select array_agg(row(h.entity, array[h.record_id], 'refused', rowferry._explain_refusal(h.state, h.message, null, null) || coalesce(h.parent, '{}'))
      ::rowferry._not_taken)
    from (
      select distinct on (h.record_id) *
      from hopeless h
      where h.entity = p_section.entity and h.record_id in (select unnest(p_section.keys)) and h.how <> 'refused'
      order by h.record_id, h.how, h.message
    ) h);
end
$$;
comment on function rowferry._hopeless(rowferry._section, text, rowferry._section[], rowferry._need[], rowferry._not_taken[]) is
  'The records of a section that cannot be written whatever is tried, found by one look, as a list of records that were not taken; null means none. They '
  'lack a parent here (p_state 23503), need a unique value of a record that is not in the batch (p_sections; any other state), or need such a '
  'record or one of p_refused; without a state only the last.';
