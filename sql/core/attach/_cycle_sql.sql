create or replace function rowferry._cycle_sql(
  p_entity rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_cycle rowferry.entities[] := array(select c from rowferry._cycle(p_entity) c);
  v_last rowferry.entities;
  v_others text;
  v_function text;
begin
  if rowferry._written_together(v_cycle) then
    v_last := v_cycle[cardinality(v_cycle)];
  else
    v_cycle := array[p_entity];
  end if;
  select string_agg(e.id::text, ', ' order by e.id) into v_others
  from unnest(v_cycle) e
  where e.cycle is distinct from v_last.id;
  if v_others is not null then
    return next format('update rowferry.entities set cycle = %s where id in (%s)', coalesce(v_last.id::text, 'null'), v_others);
  end if;
  for v_function in
    select p.oid::regprocedure::text
    from unnest(v_cycle) e
    join pg_proc p on p.pronamespace = 'rowferry'::regnamespace and p.proname = rowferry._generated_name('cycle_', e.name)
    where e.id is distinct from v_last.id
  loop
    return next format('drop function %s', v_function);
  end loop;
  if v_last.id is not null then
    v_last.cycle := v_last.id;
    return query select rowferry._refresh_sql(v_last, rowferry._generated_name('cycle_', v_last.name));
  end if;
end
$$;
comment on function rowferry._cycle_sql(rowferry.entities) is
  'Statements that bring an entity''s cycle up to date: its number, and the function that writes it where there may be one. None where it is up to date.';
