create or replace function rowferry._drop_triggers_sql(
  p_entity rowferry.entities
)
returns setof text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass)
  from pg_trigger t
  join pg_proc p on p.oid = t.tgfoid
  where (t.tgrelid in (select p_entity.relation::oid union select r.relid from pg_partition_tree(p_entity.relation) r)
      or t.tgfoid = 'rowferry._refuse_truncate()'::regprocedure and not exists (
        select from rowferry.entities e
        where e.relation = t.tgrelid or e.relation in (select a.relid from pg_partition_ancestors(t.tgrelid) a)
      ) and (select pg_has_role(c.relowner, 'usage') from pg_class c where c.oid = t.tgrelid))
    and p.pronamespace = 'rowferry'::regnamespace and t.tgparentid = 0
    and case when t.tgfoid = 'rowferry._refuse_truncate()'::regprocedure then not rowferry._captured_for_others(p_entity)
        or t.tgrelid not in (select p_entity.relation::oid union select r.relid from pg_partition_tree(p_entity.relation) r)
      else p.proname = rowferry._generated_name('capture_', p_entity.name) end
  order by t.tgrelid, t.tgname
$$;
comment on function rowferry._drop_triggers_sql(rowferry.entities) is
  'DDL that drops the triggers of an entity from its table and the partitions of that, and from partitions that have left an attached table. The trigger '
  'for TRUNCATE stays while changes of the table are captured for another peer.';
