-- The function that fires what is deferred with the rights of an entity's table owner, as DDL.
create or replace function rowferry._finish_sql(
  p_entity rowferry.entities
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $function$
  select format($f$create or replace function rowferry.%I()
returns void
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
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
%s  set constraints all immediate;
end
$rowferry$$f$, rowferry._generated_name('finish_', p_entity.name), rowferry._definer_check_sql(p_entity))
$function$;
comment on function rowferry._finish_sql(rowferry.entities) is 'DDL of the function that fires what is deferred on an entity''s table.';
