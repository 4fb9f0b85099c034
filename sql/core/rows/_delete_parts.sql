create or replace function rowferry._delete_parts(
  p_entity rowferry.entities,
  p_keys text default '$1',
  out o_delete text,
  out o_within text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_only constant text := rowferry._only_sql(p_entity);
  v_keys constant text := rowferry._keys_sql(p_entity, p_keys);
  v_join constant text := rowferry._key_join_sql(p_entity);
begin
  -- A key of one column is found in one scan of its index. The statement is planned each time, because the table may have been small the last time; the planner
  -- does not look at each key.
  o_delete := 'delete from ' || coalesce((
      select format('%s t where t.%I operator(pg_catalog.=) any (array(select pg_catalog.unnest(%s::%s[])))', v_only, c.local, p_keys, c.type)
      from rowferry._column_parts(p_entity) c
      where c.key_position is not null and cardinality(p_entity.key_columns) = 1),
    format('%s t using %s where %s', v_only, v_keys, v_join));
  if coalesce(p_entity.filter, p_entity.within) is not null then
    o_within := format('select array(select %s from %s t join %s on %s where %s for update of t)', rowferry._record_id_sql(p_entity, 't'), v_only, v_keys,
      v_join, rowferry._filter_sql(p_entity, 't'));
  end if;
end
$$;
comment on function rowferry._delete_parts(rowferry.entities, text) is
  'SQL that deletes the rows of an entity with the record_ids p_keys, and, if the entity has a filter, the query for those keys whose row is in it (null: '
  'all rows are). That query locks the rows, so that none can leave the filter any more.';
