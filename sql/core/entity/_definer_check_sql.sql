-- The first statements of a generated function that has the rights of the table's owner. An owner that makes it security invoker would have its triggers, and what
-- else it calls, run with the caller's rights; and the names of the table and of its types must still mean these.
create or replace function rowferry._definer_check_sql(
  p_entity rowferry.entities
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return (
  select concat(
    case when c.relowner <> 'rowferry_owner'::regrole then $f$  if current_user operator(pg_catalog.=) 'rowferry_owner' then
    raise exception using errcode = '42501', message = 'this function must be security definer';
  end if;
$f$ end,
    rowferry._means_sql('table', p_entity.relation::text, c.oid::text),
    rowferry._within_check_sql(p_entity),
    (
      select string_agg(rowferry._means_sql('type', t.name, t.oid::text), '' order by t.name)
      from (
        select e.type, e.type_oid from rowferry._entity_columns(p_entity) e
        union
        select e.type, e.type_oid from rowferry._entity_columns(rowferry._written(p_entity)) e
      ) t (name, oid)
      join pg_type y on y.oid = t.oid and y.typnamespace <> 'pg_catalog'::regnamespace))
  from pg_class c
  where c.oid = p_entity.relation);
end
$function$;
comment on function rowferry._definer_check_sql(rowferry.entities) is 'The first statements of a generated function that has the rights of the table''s owner.';
