-- What the breaker and a propagated TRUNCATE need to know of an entity's table, as DDL: how many of its rows are kept in sync, counted no further than p_most,
-- and the keys of its rows, or of those of one partition.
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
begin
  return next format($f$create or replace function rowferry.%1$I(
  p_most bigint
)
returns bigint
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set row_security = off
set enable_seqscan = on
as $rowferry$
#variable_conflict use_column
begin
%2$s  return (select count(*) from (select from %3$s t limit $1) l);
exception
  when sqlstate 'RF102' then
    raise;  -- only a block with handlers is a subtransaction
end
$rowferry$$f$, rowferry._generated_name('count_', p_entity.name), v_check || rowferry._users_check_sql(p_entity), rowferry._source_sql(p_entity));
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
$rowferry$$f$, rowferry._generated_name('emptied_', p_entity.name),
    'select ' || replace(rowferry._record_id_sql(p_entity, 't'), '%', '%%') || ' from only %s t' || coalesce(' where ' || replace(rowferry._filter_sql(p_entity, 't'), '%', '%%'), ''), v_check);
end
$function$;
comment on function rowferry._breaker_sql(rowferry.entities) is 'DDL of the functions that count an entity''s rows and list those about to be truncated.';
