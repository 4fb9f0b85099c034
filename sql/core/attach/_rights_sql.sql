-- Who owns an entity's generated functions and who may execute them, as DDL; p_only: one of them. What default privileges of the caller, who makes the functions, give on
-- them is taken away again.
create or replace function rowferry._rights_sql(
  p_entity rowferry.entities,
  p_only text default null
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_owner text := (select quote_ident(pg_get_userbyid(c.relowner)) from pg_class c where c.oid = p_entity.relation);
  v_caller oid := (select r.oid from pg_roles r where r.rolname = current_user);
  v_given text[] := array(
    select distinct quote_ident(pg_get_userbyid(a.grantee))
    from pg_default_acl d cross join lateral aclexplode(d.defaclacl) a
    where d.defaclrole = v_caller and d.defaclnamespace in (0, 'rowferry'::regnamespace) and d.defaclobjtype = 'f' and a.grantee not in (0, v_caller)
    order by 1);
  -- Those of all schemas stand for what PostgreSQL gives by itself, even to the owner.
  v_deprived boolean := exists (
    select from pg_default_acl d
    where d.defaclrole = v_caller and d.defaclnamespace = 0 and d.defaclobjtype = 'f' and not exists (select from aclexplode(d.defaclacl) a where a.grantee = v_caller));
  v_function record;
  v_belongs_to text;
begin
  for v_function in
    select * from rowferry._entity_functions(p_entity) f where p_only is null or starts_with(f.signature, quote_ident(p_only) || '(')
  loop
    v_belongs_to := case when v_function.of_table_owner then v_owner else 'rowferry_owner' end;
    if v_function.of_table_owner then
      return next format('alter function rowferry.%s owner to %s', v_function.signature, v_owner);
    end if;
    return next format('revoke all on function rowferry.%s from %s', v_function.signature,
      array_to_string('public'::text || array_remove(v_given, v_belongs_to), ', '));
    if v_deprived then
      return next format('grant execute on function rowferry.%s to %s', v_function.signature, v_belongs_to);
    end if;
    return next format('grant execute on function rowferry.%s to %s', v_function.signature,
      case when v_function.of_table_owner then 'rowferry_owner' else v_owner end);
    return next format('comment on function rowferry.%s is %L', v_function.signature, v_function.comment);
  end loop;
end
$$;
comment on function rowferry._rights_sql(rowferry.entities, text) is 'DDL of the rights on an entity''s generated functions.';
