-- The function that says whether a row of an entity's table is in its filter, as DDL; nothing without a filter. It is for the functions that write the table:
-- they run with the table's schema and public in search_path, in which others may have operators that would be taken for those of the filter.
create or replace function rowferry._within_sql(
  p_entity rowferry.entities
)
returns setof text
language sql
stable
set search_path = pg_catalog, pg_temp
as $function$
  select format($f$create or replace function rowferry.%1$I(
  %2$s
)
returns boolean
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $rowferry$
  select %3$s
$rowferry$$f$, rowferry._object_name('within_', p_entity.name), p_entity.relation, rowferry._filter_sql(p_entity, '($1)'))
  where p_entity.filter is not null
$function$;
comment on function rowferry._within_sql(rowferry.entities) is 'DDL of the function that says whether a row is in an entity''s filter.';
revoke all on function rowferry._within_sql(rowferry.entities) from public;
