create or replace function rowferry._merge_rows(
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
set plan_cache_mode = auto  -- as users' functions are planned elsewhere
as $$
declare
  v_merged record;
begin
  execute format('select * from rowferry.%I($1, $2, $3)', rowferry._generated_name('merge_', p_entity.name)) into v_merged
  using p_keys, p_theirs.keys, coalesce(p_theirs.column_values, array_fill('{}'::text, array[cardinality(p_entity.columns)]));
  perform rowferry._left_nothing();
  if v_merged.o_moved is not null then
    raise exception using errcode = 'RF022', message = 'the merge function changed the key of a row',
      detail = format('%s: record %s.', p_entity.conflict_rule, array_to_string(v_merged.o_moved, ', ')),
      hint = 'The function must return a row with the key that both rows have.';
  end if;
  o_keys := v_merged.o_keys;
  o_columns := v_merged.o_columns;
  o_gone := array(select k from unnest(p_keys) k where k not in (select unnest(o_keys)));
  o_gone := nullif(o_gone, '{}');
  with made as (
    insert into rowferry.events (changed_at, entity_id, event_type, record_id)
    select greatest(rowferry._now(), to_timestamp(c.winner_changed_at), to_timestamp(c.loser_changed_at)), p_entity.id, 'u', c.record_id
    from jsonb_array_elements(p_conflicts) g
    cross join lateral unnest((g ->> 'records')::text[], (g ->> 'winner_changed_at')::float8[], (g ->> 'loser_changed_at')::float8[])
      c (record_id, winner_changed_at, loser_changed_at)
    where g ->> 'verdict' = 'merge'
    returning id
  )
  select range_agg(int8range(m.id, m.id, '[]')) into o_events from made m;
  select jsonb_agg(case when g ->> 'verdict' <> 'merge' then g else g || jsonb_build_object('merged_rows', (
    select array_agg(m."row" order by m.ord)::text
    from (
      select r.record_id, min(r.ord) as ord, min(r."row") as "row"
      from (
        select c.record_id, c.ord, null as "row" from unnest((g ->> 'records')::text[]) with ordinality c (record_id, ord)
        union all
        select v.record_id, null, v.literal from rowferry._row_literals(o_keys, o_columns) v
      ) r
      group by r.record_id
    ) m
    where m.ord is not null)) end)
  into o_conflicts
  from jsonb_array_elements(p_conflicts) g;
end
$$;
comment on function rowferry._merge_rows(rowferry.entities, text, rowferry._section, text[], jsonb) is
  'Merges rows that both nodes changed; only the arbiter does this. It calls the user''s function, and makes an event of this node for each result '
  '(o_events), whose time is the latest of now and the times of both changes. The caller writes the rows.';
