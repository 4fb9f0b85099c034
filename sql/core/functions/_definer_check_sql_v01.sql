-- The first statement of a generated function that has the rights of the table's owner: an owner that makes it security invoker would have its triggers, and what
-- else it calls, run with the caller's rights.
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
  select case when c.relowner <> 'rowferry_owner'::regrole then $f$  if current_user operator(pg_catalog.=) 'rowferry_owner' then
    raise exception using errcode = '42501', message = 'this function must be security definer';
  end if;
$f$ else '' end
  from pg_class c
  where c.oid = p_entity.relation);
end
$function$;
comment on function rowferry._definer_check_sql(rowferry.entities) is 'The first statement of a generated function that has the rights of the table''s owner.';
revoke all on function rowferry._definer_check_sql(rowferry.entities) from public;
