-- Whoever owns a schema can give its name to another schema with other objects in it, and may have no right on the table; what the generated functions found
-- there would run with the rights of the table's owner. A rule makes a view of a table, which keeps its oid, before PostgreSQL 16.
create or replace function rowferry._means_sql(
  p_kind text,
  p_name text,
  p_meant text
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $function$
  select format($f$  if (%s) is not true then
    raise exception using errcode = 'RF039', message = %L, detail = %L, hint = 'It says what to type: select * from rowferry.check();';
  end if;
$f$, format(case p_kind
      when 'table' then '(select c.oid from pg_catalog.pg_class c where c.oid operator(pg_catalog.=) pg_catalog.to_regclass(%L)::pg_catalog.oid'
        ' and c.relkind operator(pg_catalog.=) any (''{r,p}''))'
        ' operator(pg_catalog.=) %L::pg_catalog.oid'
      when 'type' then 'pg_catalog.to_regtype(%L)::pg_catalog.oid operator(pg_catalog.=) %L::pg_catalog.oid'
      when 'view' then '(select pg_catalog.pg_get_userbyid(c.relowner) from pg_catalog.pg_class c'
        ' where c.oid operator(pg_catalog.=) pg_catalog.to_regclass(%L)::pg_catalog.oid)'
        ' operator(pg_catalog.=) %L::pg_catalog.name'
      else '(select pg_catalog.pg_get_userbyid(p.proowner) from pg_catalog.pg_proc p'
        ' where p.oid operator(pg_catalog.=) pg_catalog.to_regprocedure(%L)::pg_catalog.oid)'
        ' operator(pg_catalog.=) %L::pg_catalog.name' end, p_name, p_meant),
    case p_kind when 'table' then 'the name of the table means another table now, or none, or a view'
      when 'type' then 'the name of a type means another type now, or none'
      else format('this %s is gone, or belongs to another role than when the table was attached', p_kind) end,
    p_name || '.')
$function$;
comment on function rowferry._means_sql(text, text, text) is
  'PL/pgSQL statement that raises RF039 unless a name still means what it meant when the function was made. A table or a type is told by its oid; a view '
  'or a function of the user''s, which may be replaced, by its owner.';
