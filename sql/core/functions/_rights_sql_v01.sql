-- Who owns an entity's generated functions and who may execute them, as DDL; p_only: one of them.
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
  v_function record;
begin
  for v_function in
    select * from rowferry._entity_functions(p_entity) f where p_only is null or starts_with(f.signature, quote_ident(p_only) || '(')
  loop
    if v_function.of_table_owner then
      return next format('alter function rowferry.%s owner to %s', v_function.signature, v_owner);
    end if;
    return next format('revoke all on function rowferry.%s from public', v_function.signature);
    return next format('grant execute on function rowferry.%s to %s', v_function.signature,
      case when v_function.of_table_owner then 'rowferry_owner' else v_owner end);
    return next format('comment on function rowferry.%s is %L', v_function.signature, v_function.comment);
  end loop;
end
$$;
comment on function rowferry._rights_sql(rowferry.entities, text) is 'DDL of the rights on an entity''s generated functions.';
revoke all on function rowferry._rights_sql(rowferry.entities, text) from public;
