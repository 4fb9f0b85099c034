-- The generated functions of an entity that would be made otherwise today, as DDL, with the rights of those that are gone; p_only: one of them. That of its cycle is
-- an affair of _cycle_sql.
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
  v_differing record;
  v_owner_id oid := (select c.relowner from pg_class c where c.oid = p_entity.relation);
  v_lend boolean := not has_schema_privilege(v_owner_id, 'rowferry', 'create');
begin
  for v_differing in select * from rowferry._stale_functions(p_entity) d
    where d.o_function = coalesce(p_only, d.o_function) and (p_only is not null or d.o_function <> rowferry._generated_name('cycle_', p_entity.name))
  loop
    return next v_differing.o_ddl;
    if v_differing.o_missing then
      if v_lend then
        return next format('grant create on schema rowferry to %I', pg_get_userbyid(v_owner_id));
      end if;
      if v_differing.o_function = rowferry._generated_name('capture_', p_entity.name) then
        return next format('alter function rowferry.%I() owner to rowferry_owner', v_differing.o_function);
      end if;
      return query select rowferry._rights_sql(p_entity, v_differing.o_function);
      if v_lend then
        return next format('revoke create on schema rowferry from %I', pg_get_userbyid(v_owner_id));
      end if;
    end if;
  end loop;
end
$$;
comment on function rowferry._refresh_sql(rowferry.entities, text) is 'DDL of those functions of an entity that no longer fit its table.';
