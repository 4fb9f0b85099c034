create or replace function rowferry._share_capture(
  p_relation regclass
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_entity rowferry.entities;
  v_capture text;
  v_function regprocedure;
  v_statement text;
begin
  for v_entity in select e.* from rowferry.entities e join pg_class c on c.oid = e.relation where e.relation = p_relation order by e.id loop
    v_capture := rowferry._generated_name('capture_', v_entity.name);
    if v_entity.id = (select t.id from rowferry._captured_together(v_entity) t limit 1) then
      for v_statement in select rowferry._refresh_sql(v_entity, v_capture) loop
        execute v_statement;
      end loop;
      v_function := to_regprocedure(format('rowferry.%I()', v_capture));
      if not exists (select from pg_trigger t where t.tgrelid = p_relation and t.tgfoid = v_function) then
        for v_statement in select rowferry._triggers_sql(v_entity) loop
          execute v_statement;
        end loop;
      end if;
    else
      v_function := to_regprocedure(format('rowferry.%I()', v_capture));
      if v_function is not null then
        for v_statement in select rowferry._drop_triggers_sql(v_entity) loop
          execute v_statement;
        end loop;
        execute format('drop function %s', v_function);
      end if;
    end if;
  end loop;
end
$$;
comment on function rowferry._share_capture(regclass) is
  'Makes the triggers and the capture function of a table fit all entities that it has now: the first that this node sends has them. attach() and detach() '
  'call it, under a lock of the table that lets nobody write, if the table has other entities.';
