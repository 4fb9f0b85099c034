-- Takes an entity out of the sync and removes all that attach() made, also from partitions that have left the table. Refused while
-- events are pending, which would be lost, unless p_force or, in a revision, alembic's -x force=true.
create or replace function rowferry.detach(
  p_entity text,
  p_force boolean default false
)
returns setof text
language plpgsql
set search_path = pg_catalog, pg_temp
set plpgsql.extra_errors = none
set quote_all_identifiers = off
set lock_timeout = '5s'
as $$
declare
  v_entity rowferry.entities;
  v_owner text;
  v_trigger record;
  v_function record;
begin
  select e.* into v_entity from rowferry.entities e where e.name = p_entity;
  if not found then
    raise exception using errcode = 'RF011', message = 'no such entity',
      detail = format('Attached: %s.', coalesce((select string_agg(name, ', ' order by name) from rowferry.entities), 'none')),
      hint = 'select name, relation from rowferry.entities;';
  end if;
  if exists (select from pg_class c where c.oid = v_entity.relation) then
    perform rowferry._lock_table(v_entity.relation, true);  -- what dropping a trigger takes
  end if;
  if not p_force and coalesce(current_setting('rowferry.force', true), '') <> 'on' and exists (select from rowferry.events e where e.entity_id = v_entity.id) then
    raise exception using errcode = 'RF012', message = 'events of this entity are still pending',
      detail = format('%s: %s.', p_entity, (select count(*) from rowferry.events e where e.entity_id = v_entity.id)),
      hint = format('Let the worker deliver them, or give them up: select rowferry.detach(%L, p_force => true); in a revision: alembic -x force=true ..', p_entity);
  end if;
  for v_trigger in
    select t.tgname, t.tgrelid::regclass as relation
    from pg_trigger t join pg_proc p on p.oid = t.tgfoid
    where (t.tgrelid in (select v_entity.relation::oid union select relid from pg_partition_tree(v_entity.relation))
        or t.tgfoid = 'rowferry._refuse_truncate()'::regprocedure and not exists (
          select from rowferry.entities e
          where e.relation = t.tgrelid or e.relation in (select a.relid from pg_partition_ancestors(t.tgrelid) a)
        ) and (select pg_has_role(c.relowner, 'usage') from pg_class c where c.oid = t.tgrelid))
      and p.pronamespace = 'rowferry'::regnamespace and t.tgparentid = 0
  loop
    execute format('drop trigger %I on %s', v_trigger.tgname, v_trigger.relation);
  end loop;
  select quote_ident(pg_get_userbyid(p.proowner)) into v_owner
  from pg_proc p
  where p.pronamespace = 'rowferry'::regnamespace and p.proname = rowferry._object_name('apply_', p_entity)
    and p.proowner not in (select o.proowner from pg_proc o where o.pronamespace = 'rowferry'::regnamespace
      and o.proname in (select rowferry._object_name('apply_', e.name) from rowferry.entities e where e.id <> v_entity.id)
      union all select 'rowferry_owner'::regrole);
  for v_function in select g.function from rowferry._generated_functions(v_entity.name) g loop
    execute format('drop function %s', v_function.function::regprocedure);
  end loop;
  if v_owner is not null then
    execute format('revoke execute on function rowferry._refuse_truncate() from %s', v_owner);
  end if;
  delete from rowferry.held_events h where h.entity_id = v_entity.id;
  delete from rowferry.events e where e.entity_id = v_entity.id;
  update rowferry.skips s
  set done_at = coalesce(s.done_at, rowferry._now()), ended_at = rowferry._now(), kept = false, outcome = coalesce(s.outcome, 'detached before it was known')
  where s.entity_id = v_entity.id and s.ended_at is null;
  delete from rowferry.entities e where e.id = v_entity.id;
  return next format('%s: %s is no longer kept in sync with %s', p_entity, v_entity.relation, v_entity.peer);
end
$$;
comment on function rowferry.detach(text, boolean) is 'Takes an entity out of the sync; refused while events are pending, unless p_force.';
revoke all on function rowferry.detach(text, boolean) from public;
