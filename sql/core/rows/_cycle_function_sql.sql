create or replace function rowferry._cycle_function_sql(
  p_cycle rowferry.entities[]
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  -- Adds an entity's parts to the statement, if a parameter holds something of the entity.
  c_add constant text := $f$    if %s is not null then
      v_names := pg_catalog.array_cat(v_names, %L);
      v_ctes := pg_catalog.array_cat(v_ctes, %L);
    end if;
$f$;
  c_run constant text := $f$    execute pg_catalog.concat('with ', pg_catalog.array_to_string(v_ctes, ', '), ' select count(*) from (select from ',
    pg_catalog.array_to_string(v_names, ' union all select from '), ') w')
    using %s;
$f$;
  v_entity rowferry.entities;
  v_parts record;
  v_checks record;
  v_gone record;
  v_name text;
  v_place integer := 0;
  v_offset integer := 0;
  v_first text := '';
  v_within text := '';
  v_deletes text := '';
  v_present text := '';
  v_inserts text := '';
  v_writes text := '';
  v_after text := '';
begin
  foreach v_entity in array p_cycle loop
    v_place := v_place + 1;
    v_name := 'w' || v_place;
    v_checks := rowferry._row_checks(v_entity, v_offset);
    v_parts := rowferry._write_statements(v_entity, v_offset);
    v_gone := rowferry._delete_parts(v_entity, format('($1[%s])::text[]', v_place));
    v_first := concat(v_first, case when v_place < cardinality(p_cycle) then rowferry._definer_check_sql(v_entity) end, v_checks.o_first);
    if v_gone.o_within is not null then
      v_within := v_within || rowferry._off_path_sql(v_entity,
        format(E'    execute %L into v_kept using v_gone;\n    v_gone[%s] := v_kept;\n', v_gone.o_within, v_place));
    end if;
    v_deletes := v_deletes || format(c_add, format('v_gone[%s]', v_place), array[v_name], array[format('%s as (%s returning 1)', v_name, v_gone.o_delete)]);
    v_present := v_present || v_checks.o_present || rowferry._in_order_sql(v_entity, v_offset);
    v_inserts := v_inserts || format(c_add, format('$1[%s]', v_offset + 1), array[v_name], array[format('%s as (%s returning 1)', v_name, v_parts.o_insert)]);
    v_writes := v_writes || format(c_add, format('$1[%s]', v_offset + 1), v_parts.o_names, v_parts.o_ctes);
    v_after := v_after || v_checks.o_after;
    v_offset := v_offset + cardinality(v_entity.columns);
  end loop;
  return rowferry._function_sql(v_entity, 'cycle_', '(p_columns text[], p_created boolean, p_aside jsonb, p_gone text[]) returns void',
    format($f$  if $4 is not null then
%s%s%s  else
    if $2 then
%s    else
%s%s    end if;
%s  end if;
%s$f$, v_within, v_deletes, format(c_run, 'v_gone'), v_inserts, v_present, v_writes, format(c_run, '$1'), v_after),
    $f$  v_gone text[] := $4;
  v_kept text;
  v_names text[] := '{}';
  v_ctes text[] := '{}';
  v_seqscan text;
  u record;
$f$, v_first, p_reads => false, p_stable => false, p_path => rowferry._users_path(v_entity));
end
$function$;
comment on function rowferry._cycle_function_sql(rowferry.entities[]) is
  'DDL of the function that writes the rows of all entities of a cycle, or deletes them, in one statement, because PostgreSQL checks a foreign key that is '
  'not deferrable when a statement ends. The function belongs to the entity with the highest id, and to the owner of the tables. Its p_columns has the '
  'columns of all entities one after the other, by id (null: none of this entity), and its p_gone an array of record_ids for each. With its p_aside, rows '
  'whose unique values change are updated in order first.';
