create or replace function rowferry.detach(
  p_entity text,
  p_force boolean default false,
  p_if_attached boolean default false
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
  v_left rowferry.entities;
  v_owner text;
  v_waits boolean;
  v_statement text;
  v_function record;
begin
  v_entity := rowferry._find_entity(p_entity, null, p_if_attached);
  if v_entity.id is null then
    return next format('%s: is not attached', p_entity);
    return;
  elsif p_if_attached and v_entity.name not in (p_entity, concat_ws('@', p_entity, (select l.spoke from rowferry.links l where l.peer = v_entity.peer)))
    and exists (select from pg_class c where c.oid = v_entity.relation and c.relname = p_entity) then
    -- The entity of this name may be gone, and this be another table that is called so in another schema.
    raise exception using errcode = 'RF011', message = 'no entity has this name, and a table of this name is attached under another one',
      detail = format('%s is entity %s.', v_entity.relation, v_entity.name),
      hint = format('If it is the one that is meant: select rowferry.detach(%L, p_if_attached => true);', v_entity.name);
  end if;
  p_entity := v_entity.name;
  -- The entity may be attached again in this transaction: no exchange may begin with the old entity and read by the functions of the new one.
  -- The locks are taken in the order in which attach() takes them.
  perform rowferry._link_lock(o.peer, true) from (
    select distinct o.peer from rowferry.entities e join rowferry.entities o on o.relation = e.relation where e.name = p_entity order by 1) o;
  lock table rowferry.entities in share row exclusive mode;
  v_entity := rowferry._find_entity(p_entity);
  if rowferry._is_followed(v_entity) then
    raise exception using errcode = 'RF011', message = 'rows of other tables follow those of this one',
      detail = (select format('%s %s.', string_agg(c.name, ', ' order by c.name), case count(*) when 1 then 'follows' else 'follow' end || ' ' || p_entity)
        from rowferry.entities c where c.within = p_entity),
      hint = (select string_agg(format('select rowferry.attach(%L%s, p_within => '''');', c.relation::text, rowferry._which_entity(c.peer)), ' '
          order by c.name) || '  -- or detach them first'
        from rowferry.entities c where c.within = p_entity);
  end if;
  if exists (select from pg_class c where c.oid = v_entity.relation) then
    perform rowferry._lock_table(v_entity.relation, true);  -- what dropping a trigger takes
  end if;
  v_waits := not p_force and coalesce(current_setting('rowferry.force', true), '') <> 'on'
    and (exists (select from rowferry.events e where e.entity_id = v_entity.id)
    or exists (select from rowferry.moves m where m.entity_id = v_entity.id));
  for v_statement in select rowferry._drop_triggers_sql(v_entity) loop
    execute v_statement;
  end loop;
  select quote_ident(pg_get_userbyid(p.proowner)) into v_owner
  from pg_proc p
  where p.pronamespace = 'rowferry'::regnamespace and p.proname = rowferry._generated_name('apply_', p_entity)
    and p.proowner not in (select o.proowner from pg_proc o where o.pronamespace = 'rowferry'::regnamespace
      and o.proname in (select rowferry._generated_name('apply_', e.name) from rowferry.entities e where e.id <> v_entity.id)
      union all select 'rowferry_owner'::regrole);
  if not exists (select from rowferry.entities e where e.relation = v_entity.relation and e.id <> v_entity.id) then
    v_entity.trigger_rule := 'fire';
    perform rowferry._set_guards(v_entity);
  end if;
  v_left := v_entity;
  v_left.trigger_rule := 'fire';
  for v_left.relation in
    select distinct t.tgrelid
    from pg_depend d
    join pg_trigger t on t.oid = d.objid
    join pg_class c on c.oid = t.tgrelid
    where d.classid = 'pg_trigger'::regclass and d.refclassid = 'pg_proc'::regclass and d.refobjid = 'rowferry.is_applying()'::regprocedure
      and pg_has_role(c.relowner, 'usage')
      and not exists (
        select from rowferry.entities e where e.relation = t.tgrelid or e.relation in (select a.relid from pg_partition_ancestors(t.tgrelid) a))
  loop
    perform rowferry._set_guards(v_left);
  end loop;
  for v_function in select g.function from rowferry._generated_functions(v_entity.name) g loop
    execute format('drop function %s', v_function.function::regprocedure);
  end loop;
  if v_owner is not null then
    execute format('revoke execute on function rowferry._refuse_truncate() from %s', v_owner);
  end if;
  if v_waits then
    -- A refused event finds its entity by its own columns alone.
    update rowferry.held_events h set not_before = rowferry._now(), parent_entity_id = null, parent_record_id = null where h.entity_id = v_entity.id;
    insert into rowferry.detached (entity_id, name, peer, key, unknown_there)
    values (v_entity.id, v_entity.name, v_entity.peer, v_entity.key_columns || v_entity.key_types,
      v_entity.held_attempts > 0 and v_entity.held_error = 'the other node has no such entity');
  else
    delete from rowferry.held_events h where h.entity_id = v_entity.id;
    update rowferry.held_events h set not_before = rowferry._now(), parent_entity_id = null, parent_record_id = null where h.parent_entity_id = v_entity.id;
    delete from rowferry.missing_parents m where m.entity_id = v_entity.id;
    delete from rowferry.moves m where m.entity_id = v_entity.id;
    delete from rowferry.events e where e.entity_id = v_entity.id;
    update rowferry.skips s
    set done_at = coalesce(s.done_at, rowferry._now()), ended_at = rowferry._now(), kept = false, outcome = coalesce(s.outcome, 'detached before it was known')
    where s.entity_id = v_entity.id and s.ended_at is null;
  end if;
  delete from rowferry.entities e where e.id = v_entity.id;
  -- From here on the guards, and who captures, are those of the entities that stay.
  perform rowferry._set_guards(e) from rowferry.entities e where e.relation = v_entity.relation;
  perform rowferry._change_kin(v_entity, null);
  perform rowferry._share_capture(v_entity.relation) where exists (select from rowferry.entities e where e.relation = v_entity.relation);
  return next format('%s: %s is no longer kept in sync with %s%s', p_entity, v_entity.relation, v_entity.peer,
    case when v_waits then '; changes of it wait: this transaction commits only if it attaches it again' end);
end
$$;
comment on function rowferry.detach(text, boolean, boolean) is
  'Takes an entity out of the sync and removes all that attach() made, also from partitions that have left the table. It is named by its name, or by that of '
  'its table if the table has one entity here. While events are pending, which would be lost, the transaction is refused, unless p_force is given '
  '(in a revision: alembic -x force=true), or attach() of the same name takes the events over in the same transaction. With p_if_attached it does nothing '
  'where there is no such entity, as a down file may find it; a table whose entity has a name of its own is then named by that.';
