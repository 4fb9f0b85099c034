create or replace function rowferry._with_rows(
  p_peer text,
  p_lost jsonb
)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_result jsonb := '[]';
  v_group record;
  v_keys text[];
  v_values text[];
  v_state text;
  v_context text;
begin
  for v_group in
    select e as entity, array_agg(c.record_id) as keys, array_agg(c.stamp) as stamps
    from jsonb_to_recordset(p_lost) c (entity text, record_id text, stamp timestamptz)
    join rowferry.entities e on e.name = c.entity
    group by e
  loop
    begin
      execute format('select o_keys, o_columns from rowferry.%I($1, null)', rowferry._generated_name('read_', (v_group.entity).name))
      into v_keys, v_values using v_group.keys;
      perform rowferry._left_nothing();
    exception
      -- If a table cannot be read, none of its rows is kept; the conflicts of other tables are kept.
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context;
        if rowferry._is_transient(v_state, v_context) then
          raise;
        end if;
        v_keys := null;
        v_values := null;
    end;
    v_result := v_result || rowferry._conflicts_between(v_group.entity, 'cascade', p_peer, v_group.keys,
      array_fill('theirs'::text, array[cardinality(v_group.keys)]),
      v_group.stamps, array_fill('-infinity'::timestamptz, array[cardinality(v_group.keys)]), v_keys, v_values, null, null);
  end loop;
  return v_result;
end
$$;
comment on function rowferry._with_rows(text, jsonb) is 'The records that _lost_in_cascade() found, as conflicts with the rows that are about to be lost.';
