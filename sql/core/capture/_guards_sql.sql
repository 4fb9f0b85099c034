-- A constraint trigger cannot be replaced and is made again.
create or replace function rowferry._guards_sql(
  p_entity rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_guard constant boolean := p_entity.trigger_rule = 'guard' and (p_entity.direction <> 'send' or exists (
    select from rowferry.entities e where e.relation = p_entity.relation and e.id <> p_entity.id and e.direction <> 'send'));
  v_trigger record;
  v_copy record;
  v_function regprocedure;
  v_schema regnamespace;
  v_grants text;
  v_definition text;
  v_extension text;
begin
  for v_trigger in
    select u.* from rowferry._users_triggers(p_entity.relation) u where u.id = u.root and u.guarded <> (v_guard and u.enabled in ('O', 'D'))
  loop
    select p.oid, p.pronamespace into v_function, v_schema from pg_trigger t join pg_proc p on p.oid = t.tgfoid where t.oid = v_trigger.id;
    v_grants := concat_ws(' ',
      case when not has_schema_privilege(v_schema, 'usage') then format('grant usage on schema %s to %I;', v_schema, current_user) end,
      case when not has_function_privilege(v_function, 'execute') then format('grant execute on function %s to %I;', v_function, current_user) end);
    if v_grants <> '' then
      raise exception using errcode = '42501', message = 'to guard a trigger, or to take its guard away, needs the right to execute its function',
        detail = format('Trigger %s on %s calls %s.', v_trigger.name, v_trigger.relation, v_function),
        hint = v_grants || case when not v_trigger.guarded then ' or leave the triggers as they are: p_triggers => ''fire''.' else '' end;
    end if;
    select case when v_trigger.guarded then f.o_without else f.o_with end into v_definition from rowferry._guard_forms(v_trigger.definition) f;
    if v_trigger.constraint_name is null then
      return next regexp_replace(v_definition, '^CREATE', 'CREATE OR REPLACE');
    else
      return next format('drop trigger %I on %s', v_trigger.name, v_trigger.relation);
      return next v_definition;
    end if;
    for v_copy in select u.* from rowferry._users_triggers(p_entity.relation) u where u.root = v_trigger.id order by u.id <> v_trigger.id loop
      if v_copy.name <> v_trigger.name then
        raise exception using errcode = 'RF010', message = 'a trigger has another name in a partition, and would be made twice there',
          detail = format('%s on %s is %s on %s.', v_trigger.name, v_trigger.relation, v_copy.name, v_copy.relation),
          hint = case when current_setting('server_version_num')::integer < 150000
              then format('alter trigger %I on %s rename to %I;', v_copy.name, v_copy.relation, v_trigger.name)
            else format('alter trigger %1$I on %2$s rename to %3$I; alter trigger %3$I on %2$s rename to %1$I;',
              v_trigger.name, v_trigger.relation, v_trigger.name || '_') end;
      end if;
      if v_copy.enabled <> 'O' then
        return next format('alter table only %s %s trigger %I', v_copy.relation,
          case v_copy.enabled when 'A' then 'enable always' when 'R' then 'enable replica' else 'disable' end, v_copy.name);
      end if;
      foreach v_extension in array v_copy.extensions loop
        return next format('alter trigger %I on %s depends on extension %I', v_copy.name, v_copy.relation, v_extension);
      end loop;
      if v_copy.constraint_name is not null then
        if v_copy.constraint_name <> v_copy.name then
          return next format('alter table only %s rename constraint %I to %I', v_copy.relation, v_copy.name, v_copy.constraint_name);
        end if;
        if v_copy.comment is not null then
          return next format('comment on trigger %I on %s is %L', v_copy.name, v_copy.relation, v_copy.comment);
        end if;
        if v_copy.constraint_comment is not null then
          return next format('comment on constraint %I on %s is %L', v_copy.constraint_name, v_copy.relation, v_copy.constraint_comment);
        end if;
      end if;
    end loop;
  end loop;
end
$$;
comment on function rowferry._guards_sql(rowferry.entities) is
  'DDL that gives each of the users'' triggers on an entity''s table its guard, or takes it away. A trigger that is enabled as usual, or disabled, has a '
  'guard unless the entity''s rule is fire or nothing is written here. What the DDL takes away is given back, in partitions too.';
