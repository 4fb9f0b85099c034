create or replace function rowferry.set_rules(
  p_entity text,
  p_conflict_rule text default null,
  p_orphan_rule text default null,
  p_truncate text default null,
  p_triggers text default null
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
  v_merge text;
  v_statement text;
begin
  p_entity := (rowferry._find_entity(p_entity)).name;
  -- No exchange may see the old rule at its start and the new one at its end.
  perform rowferry._link_lock(o.peer, true) from (
    select distinct o.peer from rowferry.entities e join rowferry.entities o on o.relation = e.relation where e.name = p_entity order by 1) o;
  lock table rowferry.entities in share row exclusive mode;
  v_entity := rowferry._find_entity(p_entity);
  v_entity.conflict_rule := coalesce(p_conflict_rule, v_entity.conflict_rule);
  v_entity.orphan_rule := coalesce(p_orphan_rule, v_entity.orphan_rule);
  v_entity.truncate_rule := coalesce(p_truncate, v_entity.truncate_rule);
  v_entity.trigger_rule := coalesce(p_triggers, v_entity.trigger_rule);
  perform rowferry._check_rules(v_entity);
  update rowferry.entities e set conflict_rule = v_entity.conflict_rule, orphan_rule = v_entity.orphan_rule, truncate_rule = v_entity.truncate_rule,
    trigger_rule = v_entity.trigger_rule, version = nextval('rowferry.entity_ids')
  where e.id = v_entity.id;
  update rowferry.entities e set trigger_rule = v_entity.trigger_rule where e.relation = v_entity.relation and e.trigger_rule <> v_entity.trigger_rule;
  perform rowferry._set_guards(v_entity);
  v_merge := rowferry._generated_name('merge_', v_entity.name);
  if not exists (select from rowferry._entity_functions(v_entity) f where f.name = v_merge) then
    execute format('drop function if exists rowferry.%I(text[], text[], text[])', v_merge);
  end if;
  for v_statement in select rowferry._refresh_sql(v_entity, v_merge) loop
    execute v_statement;
  end loop;
  return next format('%s: conflicts are decided by %s, orphans by %s; give %s the same rules', v_entity.name, v_entity.conflict_rule, v_entity.orphan_rule,
    v_entity.peer);
end
$$;
comment on function rowferry.set_rules(text, text, text, text, text) is
  'Changes the rules of an attached table: select rowferry.set_rules(''accounts'', ''node:crm''). Both nodes must have the same conflict rule and orphan '
  'rule; until they have, rows of the entity wait. p_truncate (refuse or propagate) and p_triggers (guard or fire) may differ on the two nodes. It runs with '
  'the caller''s rights, as attach() does.';
