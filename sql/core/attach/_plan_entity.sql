create or replace function rowferry._plan_entity(
  p_table regclass,
  p_entity text,
  p_columns jsonb,
  p_key text[],
  p_peer text,
  p_outbound text,
  p_old rowferry.entities default null
)
returns rowferry.entities
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_entity rowferry.entities;
  v_other rowferry.entities;
  v_link rowferry.links;
  v_was jsonb;  -- of p_old: entity column to column, as the table calls it now
begin
  perform rowferry._refuse_table(p_table);
  v_link := rowferry._find_link(coalesce(p_peer, p_old.peer));
  v_entity.peer := v_link.peer;
  v_entity.relation := p_table;
  v_entity.relation_name := p_table::text;
  v_entity.relation_oid := p_table;
  v_entity.name := coalesce(p_entity, p_old.name, (select c.relname from pg_class c where c.oid = p_table) || coalesce('@' || v_link.spoke, ''));
  if v_entity.name = '' or octet_length(v_entity.name) > 63 then
    raise exception using errcode = 'RF010', message = 'an entity''s name has 1 to 63 bytes',
      detail = format('%s has %s.', v_entity.name, octet_length(v_entity.name)), hint = 'Give it such a name with p_entity.';
  end if;
  select e.* into v_other from rowferry.entities e where e.id is distinct from p_old.id
    and (e.relation = p_table and e.peer = v_entity.peer or e.name = v_entity.name) limit 1;
  if found then
    raise exception using errcode = 'RF011', message = 'already attached', detail = format('Entity %s is table %s.', v_other.name, v_other.relation),
      hint = format('Give another name with p_entity =>, or detach it first: select rowferry.detach(%L);', v_other.name);
  end if;
  -- All entities of a table have one rule for its triggers.
  select min(e.trigger_rule), case when bool_or(e.trigger_suffix = '') then '@' || v_entity.peer else '' end
  into v_entity.trigger_rule, v_entity.trigger_suffix
  from rowferry.entities e where e.relation = p_table and e.id is distinct from p_old.id;
  v_entity.trigger_suffix := coalesce(p_old.trigger_suffix, v_entity.trigger_suffix, '');
  v_entity.outbound := p_outbound;
  if p_outbound is not null then
    perform rowferry._check_outbound(v_entity);
  end if;
  v_was := (
    select jsonb_object_agg(c.name, coalesce(a.attname, c.local))
    from unnest(p_old.columns, p_old.local_columns, p_old.column_numbers) c (name, local, number)
    -- In a restored database the numbers are others.
    left join pg_attribute a on a.attrelid = p_table and a.attnum = c.number and not a.attisdropped and p_old.relation_oid = p_table);
  v_entity := rowferry._plan_columns(v_entity, p_old, v_was, p_columns);
  v_entity := rowferry._plan_key(v_entity, p_old, v_was, p_key);
  -- A new number: an entity that was detached may have left something behind under its own.
  v_entity.version := 1 + coalesce(pg_sequence_last_value('rowferry.entity_ids'), 0);
  v_entity.id := coalesce(p_old.id, v_entity.version);
  return v_entity;
end
$$;
comment on function rowferry._plan_entity(regclass, text, jsonb, text[], text, text, rowferry.entities) is
  'Returns what attach() would register of a table, its columns and its key, and changes nothing. If that is impossible, it raises an error with the reason '
  'and a hint. p_old is the entity as it is registered, which is to be changed in place; null means a new one.';
