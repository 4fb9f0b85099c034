create or replace function rowferry._rows_of_sql(
  p_entity rowferry.entities,
  p_before text,
  p_after text
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
  select format($f$%1$L operator(pg_catalog.||) (
    select pg_catalog.string_agg(coalesce(m.value operator(pg_catalog.||) '::' operator(pg_catalog.||) pg_catalog.format_type(a.atttypid, a.atttypmod), 'null'),
      ', ' order by a.attnum)
    from pg_catalog.pg_attribute a
    left join (values %2$s) m (name, value) on m.name operator(pg_catalog.=) a.attname
    where a.attrelid operator(pg_catalog.=) %3$L::pg_catalog.regclass and a.attnum operator(pg_catalog.>) 0
      and not a.attisdropped) operator(pg_catalog.||) %4$L$f$,
    p_before || 'row(',
    string_agg(format('(%L::pg_catalog.name, %L)', c.local, c.value), ', ' order by c.place),
    rowferry._travelling_relation(p_entity)::text, format(')::%s', rowferry._travelling_relation(p_entity)) || p_after)
  from rowferry._column_parts(p_entity) c);
end
$function$;
comment on function rowferry._rows_of_sql(rowferry.entities, text, text) is
  'PL/pgSQL expression for a statement in which received rows u stand as rows of what travels, for a function of the user''s. Between the two parts stand the '
  'columns that such a row has when the statement runs, whatever was added since attach(); those that do not travel are null.';
