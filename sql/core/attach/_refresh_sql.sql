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
  v_lend constant boolean := not has_schema_privilege(v_owner_id, 'rowferry', 'create');
  v_ddl text[];
  v_missing text[];
begin
  select array_agg(s.o_ddl), array_agg(s.o_function) filter (where s.o_missing) into v_ddl, v_missing
  from rowferry._stale_functions(p_entity) s
  where case when p_only is null then s.o_function <> v_cycle else s.o_function = p_only end;
  return query select unnest(v_ddl);
  if v_missing is null then
    return;
  end if;
  -- A role can be given a function only while it has CREATE on the function's schema.
  if v_lend then
    return next format('grant create on schema rowferry to %I', pg_get_userbyid(v_owner_id));
  end if;
  return query select rowferry._rights_sql(p_entity, v_missing);
  if v_lend then
    return next format('revoke create on schema rowferry from %I', pg_get_userbyid(v_owner_id));
  end if;
end
$$;
comment on function rowferry._refresh_sql(rowferry.entities, text) is
  'DDL that brings the generated functions of an entity up to date, all but that of its cycle (see _cycle_sql), or p_only; with the rights on those that are '
  'missing.';
