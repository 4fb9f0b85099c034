-- Conflicts with the rows that are about to be lost as their losers.
create or replace function rowferry._with_rows(
  p_conflicts jsonb
)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_result jsonb := '[]';
  v_group record;
  v_read record;
  v_state text;
  v_context text;
begin
  for v_group in
    select e as entity, array_agg(c.conflict ->> 'record_id') as keys, jsonb_object_agg(c.conflict ->> 'record_id', c.conflict) as conflicts
    from jsonb_array_elements(p_conflicts) c (conflict)
    join rowferry.entities e on e.name = c.conflict ->> 'entity'
    group by e
  loop
    begin
      execute format('select * from rowferry.%I($1, null)', rowferry._object_name('read_', (v_group.entity).name)) into v_read using v_group.keys;
      perform rowferry._left_nothing();
      v_result := v_result || coalesce((
        select jsonb_agg(v_group.conflicts -> r.record_id || jsonb_build_object('loser_row', r."row"))
        from rowferry._rows((v_group.entity).columns, v_read.o_keys, v_read.o_columns) r), '[]');
    exception
      -- A table that cannot be read keeps no row of it, and stops no other.
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context;
        if rowferry._is_transient(v_state, v_context) then
          raise;
        end if;
        v_result := v_result || coalesce((select jsonb_agg(c.value) from jsonb_each(v_group.conflicts) c), '[]');
    end;
  end loop;
  return v_result;
end
$$;
comment on function rowferry._with_rows(jsonb) is 'Conflicts with the present rows as their losers.';
revoke all on function rowferry._with_rows(jsonb) from public;
