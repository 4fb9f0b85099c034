-- The function that writes the rows of all entities of a cycle, or deletes them, as DDL: each by one statement, since foreign keys that are not deferrable are looked at at its end.
-- It belongs to the entity with the highest id, and the tables' owner. p_columns: those of all entities one after the other, by id; p_gone: of each an array of record_ids. Null: nothing
-- of this entity. With p_aside rows whose unique values change are updated in their order, before.
create or replace function rowferry._cycle_function_sql(
  p_cycle rowferry.entities[]
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_entity rowferry.entities;
  v_parts record;
  v_place integer := 0;
  v_offset integer := 0;
  v_checks text := '';
  v_within text := '';
  v_deletes text := '';
  v_present text := '';
  v_created text := '';
  v_writes text := '';
  v_after text := '';
begin
  foreach v_entity in array p_cycle loop
    v_place := v_place + 1;
    v_parts := rowferry._write_sql(v_entity, v_offset, format('($1[%s])::text[]', v_place));
    v_checks := v_checks || v_parts.o_check;
    v_within := v_within || case when v_parts.o_within is null then '' else format($f$    perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    execute %L into v_kept using v_gone;
    v_gone[%s] := v_kept;
    perform pg_catalog.set_config('search_path', %L, true);
$f$, v_parts.o_within, v_place, v_parts.o_path) end;
    v_deletes := v_deletes || format($f$    if v_gone[%s] is not null then
      v_names := pg_catalog.array_append(v_names, 'w%1$s');
      v_ctes := pg_catalog.array_append(v_ctes, %2$L);
    end if;
$f$, v_place, format('w%s as (%s returning 1)', v_place, v_parts.o_delete));
    v_present := v_present || v_parts.o_present || coalesce(v_parts.o_in_order, '');
    v_created := v_created || format($f$    if $1[%s] is not null then
      v_names := pg_catalog.array_append(v_names, 'w%2$s');
      v_ctes := pg_catalog.array_append(v_ctes, %3$L);
    end if;
$f$, v_offset + 1, v_place, format('w%s as (%s returning 1)', v_place, v_parts.o_insert));
    v_writes := v_writes || format($f$    if $1[%s] is not null then
      v_names := pg_catalog.array_cat(v_names, array[%s]);
      v_ctes := pg_catalog.array_cat(v_ctes, array[
        %s]);
    end if;
$f$, v_offset + 1, (select string_agg(quote_literal(n), ', ' order by ord) from unnest(v_parts.o_names) with ordinality o (n, ord)),
      (select string_agg(quote_literal(n), E',\n        ' order by ord) from unnest(v_parts.o_ctes) with ordinality o (n, ord)));
    v_after := v_after || v_parts.o_after;
    v_offset := v_offset + cardinality(v_entity.columns);
  end loop;
  return format($f$create or replace function rowferry.%I(
  p_columns text[],
  p_created boolean,
  p_aside jsonb,
  p_gone text[]
)
returns void
%sdeclare
  v_gone text[] := $4;
  v_kept text;
  v_names text[] := '{}';
  v_ctes text[] := '{}';
  v_seqscan text;
  u record;
begin
%s  if $4 is not null then
%s%s    execute pg_catalog.concat('with ', pg_catalog.array_to_string(v_ctes, ', '), ' select count(*) from (select from ', pg_catalog.array_to_string(v_names, ' union all select from '), ') w')
    using v_gone;
  else
    if $2 then
%s    else
%s%s    end if;
    execute pg_catalog.concat('with ', pg_catalog.array_to_string(v_ctes, ', '), ' select count(*) from (select from ', pg_catalog.array_to_string(v_names, ' union all select from '), ') w')
    using $1;
  end if;
%send
$rowferry$$f$, rowferry._generated_name('cycle_', v_entity.name), format(v_parts.o_head, v_parts.o_path), v_checks, v_within, v_deletes, v_created, v_present, v_writes, v_after);
end
$function$;
comment on function rowferry._cycle_function_sql(rowferry.entities[]) is 'DDL of the function that writes the rows of all entities of a cycle.';
