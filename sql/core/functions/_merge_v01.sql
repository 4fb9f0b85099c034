-- Merges rows that both sides changed, on the arbiter: calls the user's function and makes each result a change of this node, later than both. The
-- caller writes the rows; o_events are the new events.
create or replace function rowferry._merge(
  p_entity rowferry.entities,
  p_peer text,
  p_theirs rowferry._section,
  p_keys text[],
  p_conflicts jsonb,
  out o_keys text[],
  out o_columns text[],
  out o_gone text[],
  out o_events int8multirange,
  out o_conflicts jsonb
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_merged record;
begin
  execute format('select * from rowferry.%I($1, $2, $3)', rowferry._object_name('merge_', p_entity.name)) into v_merged
  using p_keys, p_theirs.keys, coalesce(p_theirs.column_values, array_fill('{}'::text, array[cardinality(p_entity.columns)]));
  perform rowferry._left_nothing();
  if v_merged.o_moved is not null then
    raise exception using errcode = 'RF022', message = 'the merge function changed the key of a row',
      detail = format('%s: record %s.', p_entity.conflict_rule, array_to_string(v_merged.o_moved, ', ')), hint = 'It must return a row with the key that both rows have.';
  end if;
  o_keys := v_merged.o_keys;
  o_columns := v_merged.o_columns;
  o_gone := array(select k from unnest(p_keys) k where k <> all (coalesce(o_keys, '{}')));
  o_gone := nullif(o_gone, '{}');
  with made as (
    insert into rowferry.events (changed_at, entity_id, event_type, record_id)
    select greatest(rowferry._now(), (c ->> 'winner_changed_at')::timestamptz, (c ->> 'loser_changed_at')::timestamptz), p_entity.id, 'u', c ->> 'record_id'
    from jsonb_array_elements(p_conflicts) c
    where c ->> 'verdict' = 'merge'
    returning id
  )
  select range_agg(int8range(m.id, m.id, '[]')) into o_events from made m;
  select jsonb_agg(case when c.conflict ->> 'verdict' = 'merge' then c.conflict || jsonb_build_object('merged_row', r."row") else c.conflict end)
  into o_conflicts
  from jsonb_array_elements(p_conflicts) c (conflict)
  left join rowferry._rows(p_entity.columns, o_keys, o_columns) r on r.record_id = c.conflict ->> 'record_id';
end
$$;
comment on function rowferry._merge(rowferry.entities, text, rowferry._section, text[], jsonb) is 'Merges rows that both sides changed, on the arbiter.';
revoke all on function rowferry._merge(rowferry.entities, text, rowferry._section, text[], jsonb) from public;
