create or replace function rowferry._functions_sql(
  p_entity rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_entity.direction <> 'receive' then
    return next rowferry._capture_sql(p_entity);
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
  union all select rowferry._merge_sql(p_entity)
  union all
  select rowferry._cycle_function_sql(c.cycle)
  from (select array(select y from rowferry._cycle(p_entity) y) where p_entity.cycle = p_entity.id) c (cycle)
  where (c.cycle[cardinality(c.cycle)]).id = p_entity.id and rowferry._written_together(c.cycle);
end
$$;
comment on function rowferry._functions_sql(rowferry.entities) is 'DDL of all functions that an entity needs today.';
