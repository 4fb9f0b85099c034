-- The functions that write an entity's rows, as DDL: apply (update what is there, insert what is not), delete, and lock (says which rows a user holds). They belong to the
-- table's owner, so that its triggers run with no more than its rights. A function of the user's may write in place of apply's statement. Apply and delete run triggers that
-- may rely on the table's schema and public being in search_path, where others may put functions and operators: hence each of theirs is named with its schema.
-- Parameters go by number: their names may be those of columns.
create or replace function rowferry._upsert_sql(
  p_entity rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  c_large constant integer := 2097152;
  v_partitioned constant boolean := (select c.relkind = 'p' from pg_class c where c.oid = p_entity.relation);
  v_parts constant record := rowferry._write_sql(p_entity);
  v_check constant text := rowferry._definer_check_sql(p_entity);
  v_only constant text := rowferry._only_sql(p_entity);
  v_keys_from constant text := rowferry._keys_sql(p_entity, '$1');
  v_keys_join text;
  v_with text;
  v_from text;
  v_planned_once text;
  v_planned_each_time text;
  v_write text;
begin
  select string_agg(format('t.%I operator(pg_catalog.=) k.k%s', c.local, c.key_position), ' and ' order by c.key_position) into v_keys_join
  from rowferry._entity_columns(p_entity) c
  where c.key_position is not null;

  if v_parts.o_call is null then
    v_with := format(E'with %s\n    select count(*)', array_to_string(v_parts.o_ctes, E',\n    '));
    v_from := format('from (select from %s) w', array_to_string(v_parts.o_names, ' union all select from '));
    v_planned_each_time := format('execute %L using $1;', concat_ws(' ', v_with, v_from));
    v_planned_once := concat_ws(' ', v_with, 'into v_rows', v_from) || ';';
    v_write := format($f$  if $2 then
    -- All of them new: if one is not, the whole is tried again as rows that may be there.
    %s;
  else
%s%s%s  end if;
$f$, v_parts.o_insert, v_parts.o_present, v_parts.o_in_order, case when v_partitioned then format(E'    %s\n', v_planned_each_time) else
      -- A plan is kept while the table grows, and that for a small table would read all of it: so a small one has a plan each time, and one of its own for a single row.
      format($f$    if pg_catalog.pg_relation_size(%s) operator(pg_catalog.>=) %s then
      %s
    elsif %s operator(pg_catalog.=) 1 then
      %s
    else
      %s
    end if;
$f$, p_entity.relation::oid, c_large, v_planned_once, v_parts.o_count, replace(v_planned_once, v_parts.o_from, left(v_parts.o_from, -3) || ' limit 1) u'), v_planned_each_time) end);
  end if;
  return next format($f$create or replace function rowferry.%1$I(
  p_columns text[],
  p_created boolean,
  p_aside jsonb default null
)
returns void
%2$s%3$sbegin
%4$s%5$s%6$send
$rowferry$$f$,
    rowferry._generated_name('apply_', p_entity.name), format(v_parts.o_head, v_parts.o_path), concat(E'declare\n', case when v_parts.o_call is null and not v_partitioned then E'  v_rows bigint;\n' end, case when v_parts.o_in_order is not null then E'  v_seqscan text;\n  u record;\n' end, case when p_entity.inbound is not null then E'  v_sent text[];\n' end),
    v_parts.o_check, coalesce(v_write, v_parts.o_present || v_parts.o_call), v_parts.o_after);

  return next format($f$create or replace function rowferry.%1$I(
  p_keys text[]
)
returns void
%2$sbegin
%4$s%5$s  execute %3$L using $1;
%6$send
$rowferry$$f$,
    rowferry._generated_name('delete_', p_entity.name), format(v_parts.o_head, v_parts.o_path),
    v_parts.o_delete, v_check,
    case when v_parts.o_within is null then '' else format($f$  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  execute %L into $1 using $1;
  perform pg_catalog.set_config('search_path', %L, true);
$f$, v_parts.o_within, v_parts.o_path) end,
    rowferry._means_sql('table', p_entity.relation::text, p_entity.relation::oid::text));

  return next format($f$create or replace function rowferry.%1$I(
  p_keys text[]
)
returns text[]
%2$sdeclare
  v_locked text[];
begin
%7$s  select array_agg(l.record_id) into v_locked
  from (select %3$s from %4$s t join %5$s on %6$s for no key update of t skip locked) l (record_id);
  if cardinality(v_locked) operator(pg_catalog.=) cardinality($1) then
    return null;
  end if;
  return (
    select array_agg(p.record_id)
    from (select %3$s from %4$s t join %5$s on %6$s) p (record_id)
    where p.record_id not in (select unnest(v_locked))
  );
end
$rowferry$$f$,
    rowferry._generated_name('lock_', p_entity.name), format(v_parts.o_head, 'pg_catalog, pg_temp'), rowferry._record_id_sql(p_entity, 't'), v_only,
    v_keys_from, v_keys_join, v_check);
end
$function$;
comment on function rowferry._upsert_sql(rowferry.entities) is 'DDL of the functions that write an entity''s rows.';
