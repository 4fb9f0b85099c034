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
  return next format('select setval(''rowferry.entity_ids'', %s)', p_entity.version);
  return next (
    select format(E'insert into rowferry.entities (%s)\nvalues (%s)', string_agg(v.name, ', ' order by v.place), string_agg(quote_nullable(v.value), ', ' order by v.place))
    from rowferry._entity_values(p_entity) v);
  if p_entity.direction <> 'receive' then
    return next rowferry._capture_sql(p_entity);
    return next format('alter function rowferry.%I() owner to rowferry_owner', rowferry._generated_name('capture_', p_entity.name));
  end if;
  if v_lend then
    return next format('grant create on schema rowferry to %s', v_owner);
  end if;
  return query
  select rowferry._read_sql(p_entity)
  union all select rowferry._list_keys_sql(p_entity)
  union all select rowferry._upsert_sql(p_entity)
  union all select rowferry._delete_sql(p_entity)
  union all select rowferry._function_sql(p_entity, 'finish_', '() returns void', E'  set constraints all immediate;\n', p_reads => false, p_stable => false, p_settings => '{}')
  union all select rowferry._altered_sql(p_entity)
  union all select rowferry._differing_sql(p_entity)
  union all select rowferry._missing_parents_sql(p_entity)
  union all select rowferry._wanting_sql(p_entity)
  union all select rowferry._sequences_sql(p_entity)
  union all select rowferry._followers_sql(p_entity)
  union all select rowferry._merge_sql(p_entity);
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
