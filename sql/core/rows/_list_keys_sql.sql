create or replace function rowferry._list_keys_sql(
  p_entity rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_id constant text := rowferry._record_id_sql(p_entity, 't');
  v_source constant text := rowferry._source_sql(p_entity);
  v_check constant text := rowferry._users_check_sql(p_entity);
  v_order text;
  v_after text;
begin
  select string_agg(format('t.%I', c.local), ', ' order by i.place), string_agg('k.k' || c.key_position, ', ' order by i.place) into v_order, v_after
  from (
    select c.*, a.attnum
    from rowferry._column_parts(p_entity) c
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
  ) i;

  -- How many keys are asked for decides between an index and a sort.
  return next rowferry._function_sql(p_entity, 'keys_', '(p_after text, p_limit integer) returns text[]', format($f$  if $1 is null then
    return (
      select array_agg(r.record_id)
      from (select %1$s from %2$s t order by %3$s limit $2) r (record_id)
    );
  end if;
  return (
    select array_agg(r.record_id)
    from (
      select %1$s
      from %2$s t
      where (%3$s) > (select %4$s from %5$s)
      order by %3$s
      limit $2
    ) r (record_id)
  );
$f$, v_id, v_source, v_order, v_after, rowferry._keys_sql(p_entity, 'array[$1]')), p_check => v_check, p_settings => '{row_security = off, plan_cache_mode = force_custom_plan}');
  return next rowferry._function_sql(p_entity, 'count_', '(p_most bigint) returns bigint', format($f$  return (select count(*) from (select from %s t limit $1) l);
$f$, v_source), p_check => v_check, p_settings => '{row_security = off, enable_seqscan = on}');
  return next rowferry._function_sql(p_entity, 'emptied_', '(p_relation regclass) returns setof text', format($f$  return query execute format(%L, p_relation);
$f$, 'select ' || replace(v_id, '%', '%%') || ' from only %s t' || coalesce(' where ' || replace(rowferry._filter_sql(p_entity, 't'), '%', '%%'), '')));
end
$function$;
comment on function rowferry._list_keys_sql(rowferry.entities) is
  'DDL of the functions that list keys of an entity: keys_ walks them in the order of their index, a chunk at a time, for backfill and compare; count_ counts the rows that are kept in sync, no further than p_most; emptied_ lists '
  'the keys of the table, or of one partition, before a TRUNCATE.';
