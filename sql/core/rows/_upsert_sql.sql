create or replace function rowferry._upsert_sql(
  p_entity rowferry.entities
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_large constant integer := 2097152;
  v_partitioned constant boolean := (select c.relkind = 'p' from pg_class c where c.oid = p_entity.relation);
  v_handler constant text[] := parse_ident(p_entity.on_apply);
  v_from constant text := rowferry._received_sql(rowferry._written(p_entity));
  v_checks constant record := rowferry._row_checks(p_entity);
  v_parts record;
  v_in_order text := '';
  v_with text;
  v_all text;
  v_each_time text;
  v_once text;
  v_write text;
begin
  if v_handler is not null then
    -- A row that the function left out would be taken for a row that was deleted here, and the peer would delete it.
    v_write := v_checks.o_present || format($f$  execute %s
  using $1;
  if exists (select from %s where not exists (select from %s t where %s)) then
    raise exception using errcode = 'RF029', message = 'the function that applies rows on the other node has left one out',
      hint = %L;
  end if;
$f$, rowferry._rows_of_sql(p_entity, format('select %I.%I(array(select ', v_handler[1], v_handler[2]), format(' from %s))', v_from)),
      v_from, rowferry._only_sql(p_entity), rowferry._key_join_sql(rowferry._written(p_entity), p_received => true),
      format('There %s must leave a row of %s for each that it was given.', p_entity.on_apply, p_entity.relation));
  else
    select * into v_parts from rowferry._write_statements(p_entity);
    v_in_order := rowferry._in_order_sql(p_entity);
    v_with := format(E'with %s\n    select count(*)', array_to_string(v_parts.o_ctes, E',\n    '));
    v_all := format('from (select from %s) w', array_to_string(v_parts.o_names, ' union all select from '));
    v_each_time := format('execute %L using $1;', concat_ws(' ', v_with, v_all));
    v_once := concat_ws(' ', v_with, 'into v_rows', v_all) || ';';
    v_write := format($f$  if $2 then
    -- All rows are new. If one of them is there, all are tried again as rows that may be there.
    %s;
  else
%s%s%s  end if;
$f$, v_parts.o_insert, v_checks.o_present, v_in_order, case when v_partitioned then format(E'    %s\n', v_each_time) else
      -- A plan is kept while the table grows, and a plan for a small table reads all of it. So the statement is planned each time while the table is small; a
      -- single row has a plan of its own.
      format($f$    if pg_catalog.pg_relation_size(%s) operator(pg_catalog.>=) %s then
      %s
    elsif %s operator(pg_catalog.=) 1 then
      %s
    else
      %s
    end if;
$f$, p_entity.relation::oid, c_large, v_once, v_parts.o_count, replace(v_once, v_from, left(v_from, -3) || ' limit 1) u'), v_each_time) end);
  end if;
  return rowferry._function_sql(p_entity, 'apply_', '(p_columns text[], p_created boolean, p_aside jsonb default null) returns void',
    v_write || v_checks.o_after,
    concat(case when v_handler is null and not v_partitioned then E'  v_rows bigint;\n' end,
      case when v_in_order <> '' then E'  v_seqscan text;\n  u record;\n' end, case when p_entity.inbound is not null then E'  v_sent text[];\n' end),
    v_checks.o_first, p_reads => false, p_stable => false, p_path => rowferry._users_path(p_entity));
end
$function$;
comment on function rowferry._upsert_sql(rowferry.entities) is
  'DDL of the function that writes received rows of an entity: it updates the rows that exist and inserts the others, or hands the rows to the user''s '
  'function that applies them. Triggers that run may rely on the table''s schema and public in search_path, where others may put functions and operators, so '
  'each function and operator of ours is named with its schema. Parameters are named by number, because their names may be those of columns.';
