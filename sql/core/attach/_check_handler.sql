-- Refuses a function that cannot apply an entity's rows.
create or replace function rowferry._check_handler(
  p_entity rowferry.entities
)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_names constant text[] := rowferry._split_name(p_entity.on_apply);
  v_function pg_proc;
  v_owner text := (select pg_get_userbyid(t.relowner) from pg_class t where t.oid = p_entity.relation);
begin
  if v_names is null then
    raise exception using errcode = 'RF013', message = 'a function that applies rows is named with its schema', detail = format('%L.', p_entity.on_apply),
      hint = 'p_on_apply => ''billing.apply_account''';
  end if;
  v_function := (select rowferry._find_user_function(p_entity.on_apply, t.typarray::text::oidvector) from pg_type t where t.typrelid = (select rowferry._travelling_relation(p_entity)));
  if v_function.prorettype is distinct from 'void'::regtype then
    raise exception using errcode = 'RF013', message = 'there is no such function that applies rows',
      detail = format('%s(p_rows %s[]) returns void', p_entity.on_apply, rowferry._travelling_relation(p_entity)),
      hint = 'It gets the rows as the peer has them, null in columns that do not travel, and writes them to the table; deletes do not go through it.';
  elsif not has_schema_privilege(v_owner, v_function.pronamespace, 'usage') or not has_function_privilege(v_owner, v_function.oid, 'execute') then
    raise exception using errcode = 'RF013', message = 'the owner of the table may not execute the function that applies rows',
      detail = format('%s.', v_function.oid::regprocedure),
      hint = format('grant usage on schema %I to %I; grant execute on function %s to %2$I;', v_names[1], v_owner, v_function.oid::regprocedure);
  end if;
end
$$;
comment on function rowferry._check_handler(rowferry.entities) is 'Refuses a function that cannot apply an entity''s rows.';
