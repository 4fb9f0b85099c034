create or replace function rowferry._rights_sql(
  p_entity rowferry.entities,
  p_functions text[]
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_owner constant text := (select quote_ident(pg_get_userbyid(c.relowner)) from pg_class c where c.oid = p_entity.relation);
  v_caller constant oid := (select r.oid from pg_roles r where r.rolname = current_user);
  v_given constant text[] := array(
    select distinct quote_ident(pg_get_userbyid(a.grantee))
    from pg_default_acl d cross join lateral aclexplode(d.defaclacl) a
    where d.defaclrole = v_caller and d.defaclnamespace in (0, 'rowferry'::regnamespace) and d.defaclobjtype = 'f' and a.grantee not in (0, v_caller)
    order by 1);
  -- Default privileges for all schemas replace what PostgreSQL gives by itself, even what it gives to the owner.
  v_deprived constant boolean := exists (
    select from pg_default_acl d
    where d.defaclrole = v_caller and d.defaclnamespace = 0 and d.defaclobjtype = 'f'
      and not exists (select from aclexplode(d.defaclacl) a where a.grantee = v_caller));
begin
  return query
  select unnest(array_remove(array[
    format('alter function rowferry.%s owner to %s', f.signature, r.belongs_to),
    format('revoke all on function rowferry.%s from %s', f.signature, array_to_string('public'::text || array_remove(v_given, r.belongs_to), ', ')),
    case when v_deprived then format('grant execute on function rowferry.%s to %s', f.signature, r.belongs_to) end,
    format('grant execute on function rowferry.%s to %s', f.signature, r.caller),
    format('comment on function rowferry.%s is %L', f.signature, f.comment)], null))
  from rowferry._entity_functions(p_entity) f
  join (values (true, v_owner, 'rowferry_owner'), (false, 'rowferry_owner', v_owner)) r (of_table_owner, belongs_to, caller) using (of_table_owner)
  where f.name = any (p_functions);
end
$$;
comment on function rowferry._rights_sql(rowferry.entities, text[]) is
  'DDL that says who owns some of an entity''s generated functions, and who may execute them. What default privileges of the caller, who makes the functions, '
  'give on them is taken away again.';
