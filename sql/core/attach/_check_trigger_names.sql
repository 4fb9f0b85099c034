create or replace function rowferry._check_trigger_names(
  p_entity rowferry.entities
)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_trigger record;
begin
  select t.tgname as name, t.tgrelid::regclass as relation into v_trigger
  from pg_trigger t
  where t.tgrelid in (select p_entity.relation union all select p.relid from pg_partition_tree(p_entity.relation) p)
    and t.tgname ~ '^rowferry_(truncate|capture(_(insert|update|delete))?(@.*)?)$'
    and not exists (select from pg_proc p where p.oid = t.tgfoid and p.pronamespace = 'rowferry'::regnamespace)
  limit 1;
  if found and p_entity.direction <> 'receive' then
    raise exception using errcode = 'RF010', message = 'a trigger of yours has a name that rowferry gives to its own',
      detail = format('%s on %s.', v_trigger.name, v_trigger.relation),
      hint = format('alter trigger %I on %s rename to %I;', v_trigger.name, v_trigger.relation, 'my_' || v_trigger.name);
  end if;
end
$$;
comment on function rowferry._check_trigger_names(rowferry.entities) is
  'Refuses a table on which a trigger of the user''s has a name that attach() gives to one of its own.';
