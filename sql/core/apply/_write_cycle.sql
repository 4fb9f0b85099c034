create or replace function rowferry._write_cycle(
  p_cycle integer,
  p_sections rowferry._section[],
  p_indices integer[],
  p_delete boolean,
  p_in_order boolean
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_entity rowferry.entities;
  v_index integer;
  v_columns text[] := '{}';
  v_gone text[] := '{}';
  v_created boolean := true;
begin
  for v_entity in select e.* from rowferry.entities e where e.cycle = p_cycle order by e.id loop
    v_index := (select i from unnest(p_indices) i where (p_sections[i]).entity = v_entity.name);
    if v_index is null then
      v_columns := v_columns || array_fill(null::text, array[cardinality(v_entity.columns)]);
      v_gone := v_gone || null::text;
    else
      v_created := v_created and coalesce((p_sections[v_index]).created, false);
      v_columns := v_columns || (case when p_in_order then (rowferry._in_order(p_sections[v_index])).o_section else p_sections[v_index] end).column_values;
      v_gone := v_gone || (p_sections[v_index]).gone::text;
    end if;
  end loop;
  execute format('select rowferry.%I($1, $2, $3, $4)', rowferry._generated_name('cycle_', (select e.name from rowferry.entities e where e.id = p_cycle)))
  using case when not p_delete then v_columns end, v_created, case when p_in_order then jsonb '{}' end, case when p_delete then v_gone end;
end
$$;
comment on function rowferry._write_cycle(integer, rowferry._section[], integer[], boolean, boolean) is
  'Writes the sections at p_indices, which belong to one cycle of entities, by one statement, or deletes what is gone in them.';
