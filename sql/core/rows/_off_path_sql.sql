create or replace function rowferry._off_path_sql(
  p_entity rowferry.entities,
  p_statements text
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $function$
  select format($f$  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
%s  perform pg_catalog.set_config('search_path', %L, true);
$f$, p_statements, rowferry._users_path(p_entity))
$function$;
comment on function rowferry._off_path_sql(rowferry.entities, text) is
  'PL/pgSQL statements without the users'' schemas in search_path, whose operators might be taken for those of a filter.';
