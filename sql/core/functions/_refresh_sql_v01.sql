-- The generated functions of an entity that would be made otherwise today, because a column's type was altered, as DDL. None while a column is missing:
-- functions made without it would leave it out in silence.
create or replace function rowferry._refresh_sql(
  p_entity rowferry.entities
)
returns setof text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select d.ddl
  from (
    select rowferry._read_sql(p_entity)
    union all
    select rowferry._hash_sql(p_entity)
    union all
    select rowferry._apply_sql(p_entity)
    union all
    select rowferry._keys_function_sql(p_entity)
    union all
    select rowferry._breaker_sql(p_entity)
  ) d (ddl)
  where (select count(*) from rowferry._entity_columns(p_entity)) = cardinality(p_entity.columns)
    and not exists (
      select from pg_proc p
      where p.pronamespace = 'rowferry'::regnamespace and p.prosrc = split_part(d.ddl, '$rowferry$', 2)
        and strpos(d.ddl, format('function rowferry.%I(', p.proname)) > 0
    )
$$;
comment on function rowferry._refresh_sql(rowferry.entities) is 'DDL of those functions of an entity that no longer fit its table.';
revoke all on function rowferry._refresh_sql(rowferry.entities) from public;
