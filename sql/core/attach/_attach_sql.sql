create or replace function rowferry._attach_sql(
  p_old rowferry.entities,
  p_new rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  c_registered constant text[] := '{id, name, peer, relation, relation_name, relation_oid, trigger_suffix,
    key_columns, key_types, columns, local_columns, column_types,
    column_numbers, column_digest, columns_given, conflict_rule, orphan_rule, truncate_rule, direction, filter, filter_columns, filter_types, filter_left,
    within, within_columns, within_parent_columns, outbound, inbound, on_apply, trigger_rule, version}';
  v_is_new constant boolean := p_old.id is null;
  v_owner constant oid := (select c.relowner from pg_class c where c.oid = p_new.relation);
  v_captured constant boolean := coalesce(p_old.direction, 'receive') <> 'receive';
  v_names text;
  v_values text;
  v_changes text;
begin
  select string_agg(quote_ident(v.name), ', ' order by v.place), string_agg(quote_nullable(v.value), ', ' order by v.place),
    string_agg(format('%I = %L', v.name, v.value), ', ' order by v.place) filter (where v.differs and v.name <> 'version')
  into v_names, v_values, v_changes
  from (
    select a.attname::text, array_position(c_registered, a.attname::text), n.value is distinct from o.value,
      case when jsonb_typeof(n.value) = 'array' then array(select jsonb_array_elements_text(n.value))::text else n.value #>> '{}' end
    from pg_attribute a
    cross join lateral (values (to_jsonb(p_new) -> a.attname)) n (value)
    cross join lateral (values (to_jsonb(p_old) -> a.attname)) o (value)
    where a.attrelid = 'rowferry.entities'::regclass and a.attname = any (c_registered)
  ) v (name, place, differs, value);
  if v_changes is not null then
    return next format('select setval(''rowferry.entity_ids'', %s)', p_new.version);
    return next case when v_is_new then format(E'insert into rowferry.entities (%s)\nvalues (%s)', v_names, v_values)
      else format('update rowferry.entities set %s, version = %s where id = %s', v_changes, p_new.version, p_new.id) end;
  end if;
  if exists (select from rowferry.entities e where e.relation = p_new.relation and e.id <> p_new.id and e.trigger_rule <> p_new.trigger_rule) then
    return next format('update rowferry.entities set trigger_rule = %L where relation = %L::regclass and id <> %s',
      p_new.trigger_rule, p_new.relation, p_new.id);
  end if;
  if not v_is_new and (p_old.within, p_old.within_columns) is distinct from (p_new.within, p_new.within_columns) then
    -- The places of events name records of the old parent.
    return next format('update rowferry.events set place = null where entity_id = %s and place is not null', p_new.id);
  end if;
  if v_captured and p_new.direction = 'receive' then
    return query select rowferry._drop_triggers_sql(p_old);
  end if;
  return query
  select format('drop function if exists rowferry.%s', o.signature)
  from rowferry._entity_functions(p_old) o
  where not v_is_new and not exists (select from rowferry._entity_functions(p_new) n where n.signature = o.signature);
  return query select rowferry._refresh_sql(p_new);
  -- Whoever adds a partition gives it a trigger that calls the function.
  if v_is_new and not has_function_privilege(v_owner, 'rowferry._refuse_truncate()', 'execute') then
    return next format('grant execute on function rowferry._refuse_truncate() to %I', pg_get_userbyid(v_owner));
  end if;
  return query select rowferry._triggers_sql(p_new, p_truncate_only => v_captured);
end
$$;
comment on function rowferry._attach_sql(rowferry.entities, rowferry.entities) is
  'All statements that attach() runs, in order, to take an entity in (p_old null) or to change it in place; none if nothing differs. Events stay, because '
  'they have keys only. The caller holds the lock of the link, so that no exchange reads rows by the old functions and sends them by the new ones, and the '
  'lock of the table, so that no write is missed.';
