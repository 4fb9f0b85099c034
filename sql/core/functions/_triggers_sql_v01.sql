-- The triggers of an entity's table, as DDL. ENABLE ALWAYS: a session in replica role is captured too. TRUNCATE is refused,
-- on a partitioned table also in each partition.
create or replace function rowferry._triggers_sql(
  p_entity rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_partitioned boolean := (select relkind = 'p' from pg_class where oid = p_entity.relation);
  v_capture text := format('rowferry.%I()', rowferry._object_name('capture_', p_entity.name));
  v_relation regclass;
begin
  if v_partitioned then
    return next format(E'create trigger rowferry_capture\nafter insert or update or delete on %s\nfor each row execute function %s', p_entity.relation, v_capture);
    return next format('alter table %s enable always trigger rowferry_capture', p_entity.relation);
  else
    return next format(E'create trigger rowferry_capture_insert\nafter insert on %s\nreferencing new table as new_rows\nfor each statement execute function %s', p_entity.relation, v_capture);
    return next format(E'create trigger rowferry_capture_update\nafter update on %s\nreferencing old table as old_rows new table as new_rows\nfor each statement execute function %s', p_entity.relation, v_capture);
    return next format(E'create trigger rowferry_capture_delete\nafter delete on %s\nreferencing old table as old_rows\nfor each statement execute function %s', p_entity.relation, v_capture);
    return next format(E'alter table %s enable always trigger rowferry_capture_insert,\n  enable always trigger rowferry_capture_update,\n  enable always trigger rowferry_capture_delete', p_entity.relation);
  end if;
  for v_relation in
    select t.relid from pg_partition_tree(p_entity.relation) t
    union
    select p_entity.relation
    order by 1
  loop
    return next format(E'create trigger rowferry_truncate\nbefore truncate on %s\nfor each statement execute function rowferry._refuse_truncate()', v_relation);
    return next format('alter table %s enable always trigger rowferry_truncate', v_relation);
  end loop;
end
$$;
comment on function rowferry._triggers_sql(rowferry.entities) is 'DDL of the triggers of an entity''s table.';
revoke all on function rowferry._triggers_sql(rowferry.entities) from public;
