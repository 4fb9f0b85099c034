-- What the breaker and a propagated TRUNCATE need to know of an entity's table, as DDL: how many of its rows are kept in sync (counted where the table has at most
-- 2,000 pages, else as the planner estimates), and the keys of its rows, or of those of one partition.
create or replace function rowferry._breaker_sql(
  p_entity rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_check text := rowferry._read_only_sql(p_entity);
  v_source text := rowferry._source_sql(p_entity);
begin
  return next format($f$create or replace function rowferry.%1$I()
returns bigint
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set row_security = off
as $rowferry$
#variable_conflict use_column
declare
  v_pages constant float8 := (
    select sum(pg_relation_size(r.relid)) / current_setting('block_size')::integer
    from (select %2$L::regclass as relid union select p.relid from pg_partition_tree(%2$L) p where p.isleaf) r);
  v_plan json;
begin
%3$s  if v_pages <= 2000 then
    return (select count(*) from %4$s t);
  end if;
  -- What the planner expects of the table's size, its statistics and the filter.
  execute %5$L into v_plan;
  return (v_plan #>> '{0,Plan,Plan Rows}')::float8::bigint;
exception
  when sqlstate 'RF102' then
    raise;  -- only a block with handlers is a subtransaction
end
$rowferry$$f$, rowferry._object_name('count_', p_entity.name), p_entity.relation::oid::text, v_check || rowferry._users_check_sql(p_entity), v_source,
    format('explain (format json) select from %s t', v_source));
  return next format($f$create or replace function rowferry.%1$I(
  p_relation regclass
)
returns setof text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set row_security = off
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
as $rowferry$
begin
%3$s  return query execute format(%2$L, p_relation);
exception
  when sqlstate 'RF102' then
    raise;  -- only a block with handlers is a subtransaction
end
$rowferry$$f$, rowferry._object_name('emptied_', p_entity.name),
    'select ' || replace(rowferry._record_id_sql(p_entity, 't'), '%', '%%') || ' from only %s t' || coalesce(' where ' || replace(rowferry._filter_sql(p_entity, 't'), '%', '%%'), ''), v_check);
end
$function$;
comment on function rowferry._breaker_sql(rowferry.entities) is 'DDL of the functions that count an entity''s rows and list those about to be truncated.';
revoke all on function rowferry._breaker_sql(rowferry.entities) from public;
