create or replace function rowferry._why_not_understood(
  p_peer text,
  p_entity rowferry.entities,
  p_section rowferry._section
)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_here boolean := false;  -- whether the hint is for this node
  v_apart record;
  v_state text := 'RF020';
  v_message text;
  v_hint text;
begin
  if p_entity.id is not null then
    v_apart := rowferry._table_apart(p_entity);
  end if;
  if p_entity.id is null then
    v_message := 'the other node has no such entity';
    v_here := true;
    v_hint := (
      select format('select rowferry.attach(%L, %L%s);  -- %sdelivery then goes on; or, if it is to leave the sync, on %s: '
          'select rowferry.detach(%2$L, p_force => true); which gives up what waits there',
        coalesce(t.name, 'schema.table'), p_section.entity, rowferry._which_entity(p_peer),
        case when t.name is null then 'with the name of its table; ' end, p_peer)
      from rowferry.links l
      cross join lateral (
        -- The only table of this name, whatever its schema.
        select case when count(*) = 1 then min(c.oid::regclass::text) end
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and c.relpersistence = 'p' and not c.relispartition and n.nspname not in ('rowferry', 'pg_catalog', 'information_schema')
          and case when right(p_section.entity, length(l.spoke) + 1) = '@' || l.spoke then left(p_section.entity, -1 - length(l.spoke))
            else p_section.entity end in (c.relname, format('%s.%s', n.nspname, c.relname))) t (name)
      where l.peer = p_peer);
  elsif p_entity.direction = 'send' and (p_section.keys is not null or p_section.gone is not null) then
    v_state := 'RF028';
    v_message := 'the other node only sends rows of this entity';
    v_hint := format('select rowferry.attach(relation, name, p_direction => ''receive'') from rowferry.entities where name = %L;  -- lets the table only '
      'receive here, so change its rows on the other node; changes that wait here are sent once that node takes rows again (p_direction => ''both'' there), or '
      'give them up: select * from rowferry.skip(id, ''reason'');', p_entity.name);
  elsif p_entity.paused_at is not null then
    v_state := 'RF027';
    v_message := format('paused on the other node by %s', p_entity.paused_by);
    v_here := true;
    v_hint := format('select * from rowferry.resume(p_entity => %L);', p_entity.name);
  elsif v_apart.o_unusable then
    v_state := v_apart.o_sqlstate;
    v_message := 'on the other node ' || v_apart.o_problem;
    v_here := true;
    v_hint := v_apart.o_fix;
  elsif p_entity.columns <> p_section.columns then
    v_message := format('the columns differ: %s', (
      select string_agg(case when s.name is null then format('%s is not sent', e.name) else format('%s is not known there', s.name) end, ', ')
      from unnest(p_entity.columns) e (name)
      full join unnest(p_section.columns) s (name) using (name)
      where e.name is null or s.name is null));
    v_hint := 'select * from rowferry.check();  -- it says for either node which call takes the column in, and which leaves it out; delivery then goes on';
  elsif p_entity.key_columns || p_entity.key_types <> p_section.key then
    v_message := format('the keys differ: %s here, %s there', array_to_string(p_section.key, ' '),
      array_to_string(p_entity.key_columns || p_entity.key_types, ' '));
    v_here := p_entity.key_columns <> p_section.key[:cardinality(p_section.key) / 2];
    if v_here then
      p_entity.key_columns := p_section.key[:cardinality(p_section.key) / 2];
      v_hint := format('begin; select rowferry.detach(%L); %s commit;  -- or give the other node the key of this one; delivery then goes on', p_entity.name,
        rowferry._attach_call(p_entity, p_entity.relation));
    else
      v_hint := format('select rowferry.attach(relation, name) from rowferry.entities where name = %L;  -- on both nodes, once the columns of the key have '
        'the same types; delivery then goes on', p_entity.name);
    end if;
  elsif array[p_entity.conflict_rule, p_entity.orphan_rule] <> p_section.rules then
    v_message := format('the rules differ: %s here, %s there', array_to_string(p_section.rules, ' and '),
      concat_ws(' and ', p_entity.conflict_rule, p_entity.orphan_rule));
    v_here := true;
    v_hint := format('select rowferry.set_rules(%L, %L, %L);  -- or give the other node the rules of this one; delivery then goes on', p_entity.name,
      p_section.rules[1], p_section.rules[2]);
  else
    -- No row of the section could pass this.
    v_message := 'the table on the other node cannot be written: ' || (
      select case
        when not has_schema_privilege(c.relowner, c.relnamespace, 'usage')
          then format('its owner %I may not use schema %s', pg_get_userbyid(c.relowner), c.relnamespace::regnamespace)
        when c.relforcerowsecurity and not (select r.rolbypassrls or r.rolsuper from pg_roles r where r.oid = c.relowner)
          then 'row-level security would hide rows from its owner'
        when not has_any_column_privilege(c.relowner, c.oid, 'select') or p_entity.on_apply is null and p_entity.direction <> 'send'
          and not (has_any_column_privilege(c.relowner, c.oid, 'insert') and has_any_column_privilege(c.relowner, c.oid, 'update'))
          then format('its owner %I has given up rights on it', pg_get_userbyid(c.relowner)) end
      from pg_class c
      where c.oid = p_entity.relation);
    v_here := true;
    v_hint := 'select * from rowferry.check();  -- it says what to type; delivery then goes on';
  end if;
  if v_message is null then
    return null;
  elsif v_here then
    v_hint := rowferry._on_node(v_hint, (select n.name from rowferry.node n));
  end if;
  return jsonb_build_object('entity', p_section.entity, 'sqlstate', v_state, 'message', v_message, 'hint', v_hint);
end
$$;
comment on function rowferry._why_not_understood(text, rowferry.entities, rowferry._section) is
  'Why rows of a section of p_peer cannot be understood here, as a refusal of the entity as a whole, or null. A value is never left out, nor is a null put '
  'in its place.';
