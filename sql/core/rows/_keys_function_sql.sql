-- The function that walks an entity's keys in the order of their index, a chunk at a time, for backfill and compare; as DDL.
create or replace function rowferry._keys_function_sql(
  p_entity rowferry.entities
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $function$
  select format($f$create or replace function rowferry.%1$I(
  p_after text,
  p_limit integer
)
returns text[]
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set row_security = off
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
set plan_cache_mode = force_custom_plan  -- how many keys are asked for decides between an index and a sort
as $rowferry$
#variable_conflict use_column
begin
%7$s  if $1 is null then
    return (
      select array_agg(r.record_id)
      from (select %2$s from %3$s t order by %4$s limit $2) r (record_id)
    );
  end if;
  return (
    select array_agg(r.record_id)
    from (
      select %2$s
      from %3$s t
      where (%4$s) > (select %5$s from %6$s)
      order by %4$s
      limit $2
    ) r (record_id)
  );
exception
  when sqlstate 'RF102' then
    raise;  -- only a block with handlers is a subtransaction
end
$rowferry$$f$,
    rowferry._generated_name('keys_', p_entity.name), rowferry._record_id_sql(p_entity, 't'), rowferry._source_sql(p_entity),
    string_agg(format('t.%I', c.local), ', ' order by i.place),
    string_agg('k.k' || c.key_position, ', ' order by i.place), rowferry._keys_sql(p_entity, 'array[$1]'),
    rowferry._read_only_sql(p_entity) || rowferry._users_check_sql(p_entity))
  from (
    select c.*, a.attnum
    from rowferry._entity_columns(p_entity) c
    join pg_attribute a on a.attrelid = p_entity.relation and a.attname = c.local
    where c.key_position is not null
  ) c
  cross join lateral (
    select array_position(i.indkey::smallint[], c.attnum) as place
    from pg_index i
    where i.indrelid = p_entity.relation and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
      and i.indnkeyatts = cardinality(p_entity.key_columns)
      and (select array_agg(a.attname::text order by a.attname) from pg_attribute a where a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1]))
        = (select array_agg(p_entity.local_columns[array_position(p_entity.columns, k)] order by p_entity.local_columns[array_position(p_entity.columns, k)]::name)
          from unnest(p_entity.key_columns) k)
    order by i.indisprimary desc, i.indexrelid
    limit 1
  ) i
$function$;
comment on function rowferry._keys_function_sql(rowferry.entities) is 'DDL of the function that walks an entity''s keys.';
