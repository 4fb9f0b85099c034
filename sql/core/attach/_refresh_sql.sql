create or replace function rowferry._refresh_sql(
  p_entity rowferry.entities,
  p_only text default null
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_cycle constant text := rowferry._generated_name('cycle_', p_entity.name);
  v_owner_id constant oid := (select c.relowner from pg_class c where c.oid = p_entity.relation);
  v_owner constant text := quote_ident(pg_get_userbyid(v_owner_id));
  v_lend constant boolean := not has_schema_privilege(v_owner_id, 'rowferry', 'create');
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
  v_ddl text[];
  v_missing text[];
begin
  select array_agg(s.o_ddl), array_agg(s.o_function) filter (where s.o_missing) into v_ddl, v_missing
  from rowferry._stale_functions(p_entity, p_only) s
  where p_only is not null or s.o_function <> v_cycle;
  return query select unnest(v_ddl);
  if v_missing is null then
    return;
  end if;
  -- A role can be given a function only while it has CREATE on the function's schema.
  if v_lend then
    return next format('grant create on schema rowferry to %s', v_owner);
  end if;
  return query
  select unnest(array_remove(array[
    format('alter function rowferry.%s owner to %s', f.signature, r.belongs_to),
    format('revoke all on function rowferry.%s from %s', f.signature, array_to_string('public'::text || array_remove(v_given, r.belongs_to), ', ')),
    case when v_deprived then format('grant execute on function rowferry.%s to %s', f.signature, r.belongs_to) end,
    format('grant execute on function rowferry.%s to %s', f.signature, r.caller),
    format('comment on function rowferry.%s is %L', f.signature, f.comment)], null))
  from rowferry._entity_functions(p_entity) f
  join (values (true, v_owner, 'rowferry_owner'), (false, 'rowferry_owner', v_owner)) r (of_table_owner, belongs_to, caller) using (of_table_owner)
  where f.name in (select unnest(v_missing));
  if v_lend then
    return next format('revoke create on schema rowferry from %s', v_owner);
  end if;
end
$$;
comment on function rowferry._refresh_sql(rowferry.entities, text) is
  'DDL that brings the generated functions of an entity up to date, all but that of its cycle (see _cycle_sql), or p_only. A function that is missing gets its '
  'owner and its rights; what default privileges of the caller, who makes it, give on it is taken away again.';
