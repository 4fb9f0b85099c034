create or replace function rowferry._triggers_sql(
  p_entity rowferry.entities,
  p_truncate_only boolean default false
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_partitioned boolean := (select relkind = 'p' from pg_class where oid = p_entity.relation);
  v_capture text := format('rowferry.%I()', rowferry._generated_name('capture_', p_entity.name));
  v_trigger record;
begin
  if p_entity.direction = 'receive' then
    return;
  end if;
  for v_trigger in
    select c.name || p_entity.trigger_suffix as name, c.event, c.referencing
    from (values
      (true, 'rowferry_capture', 'insert or delete or update', null),
      (false, 'rowferry_capture_insert', 'insert', 'new table as new_rows'),
      (false, 'rowferry_capture_update', 'update', 'old table as old_rows new table as new_rows'),
      (false, 'rowferry_capture_delete', 'delete', 'old table as old_rows')
    ) c (partitioned, name, event, referencing)
    where c.partitioned = v_partitioned and not p_truncate_only
      and p_entity.id = (select t.id from rowferry._captured_together(p_entity) t limit 1)
  loop
    return next format(E'create trigger %I\nafter %s on %s\n%s execute function %s', v_trigger.name, v_trigger.event, p_entity.relation,
      coalesce('referencing ' || v_trigger.referencing || E'\nfor each statement', 'for each row'), v_capture);
    return next format('alter table %s enable always trigger %I', p_entity.relation, v_trigger.name);
    return next format('comment on trigger %I on %s is %L', v_trigger.name, p_entity.relation, 'rowferry: writes an event for each row that changes.');
  end loop;
  for v_trigger in
    select r.relid::regclass as relation
    from (select t.relid from pg_partition_tree(p_entity.relation) t union select p_entity.relation) r
    where not exists (select from pg_trigger t where t.tgrelid = r.relid and t.tgname = 'rowferry_truncate'
      and t.tgfoid = 'rowferry._refuse_truncate()'::regprocedure)
    order by r.relid
  loop
    return next format(E'create trigger rowferry_truncate\nbefore truncate on %s\nfor each statement execute function rowferry._refuse_truncate()',
      v_trigger.relation);
    return next format('alter table %s enable always trigger rowferry_truncate', v_trigger.relation);
    return next format('comment on trigger rowferry_truncate on %s is %L', v_trigger.relation,
      'rowferry: refuses TRUNCATE, or first writes a delete event for each row. rowferry.entities.truncate_rule says which.');
  end loop;
end
$$;
comment on function rowferry._triggers_sql(rowferry.entities, boolean) is
  'DDL of rowferry''s triggers on an entity''s table; none if the table only receives, and no capture trigger if another entity captures for it. They are ENABLE ALWAYS, so that a session in replica role is captured '
  'too. TRUNCATE fires the trigger of each partition, and a new partition has none. With p_truncate_only only the missing TRUNCATE triggers are returned.';
