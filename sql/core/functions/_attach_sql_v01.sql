-- All that attach() runs, in order. Functions that read or write the table end up with its owner, who needs CREATE on the
-- schema for that moment only. EXECUTE on the trigger functions is what lets the owner add a partition.
create or replace function rowferry._attach_sql(
  p_entity rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_owner_id oid := (select relowner from pg_class where oid = p_entity.relation);
  v_owner text := quote_ident(pg_get_userbyid(v_owner_id));
  v_lend boolean := not has_schema_privilege(v_owner_id, 'rowferry', 'create');
begin
  return next format('select setval(''rowferry.entity_ids'', %s)', p_entity.id);
  return next format('insert into rowferry.entities (id, name, peer, relation, relation_name, relation_oid, key_columns, key_types, columns, local_columns, conflict_rule, orphan_rule, truncate_rule,' || E'\n'
    || '  direction, filter, filter_left, outbound, inbound, on_apply)' || E'\n'
    || 'values (%s, %L, %L, %L, %L, %s, %L, %L, %L, %L, %L, %L, %L, %L, %L, %L, %L, %L, %L)', p_entity.id, p_entity.name, p_entity.peer, p_entity.relation::text,
    p_entity.relation_name, p_entity.relation_oid, p_entity.key_columns, p_entity.key_types, p_entity.columns, p_entity.local_columns, p_entity.conflict_rule, p_entity.orphan_rule, p_entity.truncate_rule,
    p_entity.direction, p_entity.filter, p_entity.filter_left, p_entity.outbound, p_entity.inbound, p_entity.on_apply);
  if p_entity.direction <> 'receive' then
    return next rowferry._capture_sql(p_entity);
    return next format('alter function rowferry.%I() owner to rowferry_owner', rowferry._object_name('capture_', p_entity.name));
  end if;
  if v_lend then
    return next format('grant create on schema rowferry to %s', v_owner);
  end if;
  return query select rowferry._within_sql(p_entity);
  return next rowferry._read_sql(p_entity);
  return next rowferry._hash_sql(p_entity);
  return query select rowferry._apply_sql(p_entity);
  return next rowferry._differing_sql(p_entity);
  return next rowferry._finish_sql(p_entity);
  return next rowferry._keys_function_sql(p_entity);
  return next rowferry._lacking_sql(p_entity);
  return query select rowferry._breaker_sql(p_entity);
  return next rowferry._sequences_sql(p_entity);
  return query select rowferry._merge_sql(p_entity);
  return query select rowferry._rights_sql(p_entity);
  if v_lend then
    return next format('revoke create on schema rowferry from %s', v_owner);
  end if;
  if not has_function_privilege(v_owner_id, 'rowferry._refuse_truncate()', 'execute') then
    return next format('grant execute on function rowferry._refuse_truncate() to %s', v_owner);
  end if;
  return query select rowferry._triggers_sql(p_entity);
end
$$;
comment on function rowferry._attach_sql(rowferry.entities) is 'All statements that attach() runs, in order.';
revoke all on function rowferry._attach_sql(rowferry.entities) from public;
