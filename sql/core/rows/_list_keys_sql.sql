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
  v_own rowferry.entities := p_entity;
  v_parent rowferry.entities;
  v_followers text;
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
      and array(
          select a.attname from pg_attribute a where a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1]) order by a.attname collate "C")
        = array(select k.local::name from rowferry._entity_columns(p_entity) k where k.key_position is not null order by k.local collate "C")
    order by i.indisprimary desc, i.indexrelid
    limit 1
  ) i;

  -- p_limit decides between an index and a sort, so the query is planned each time.
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
$f$, v_id, v_source, v_order, v_after, rowferry._keys_sql(p_entity, 'array[$1]')), p_check => v_check,
  p_settings => '{row_security = off, plan_cache_mode = force_custom_plan}');
  return next rowferry._function_sql(p_entity, 'count_', '(p_most bigint) returns bigint',
    format($f$  return (select count(*) from (select from %s t limit $1) l);
$f$, v_source), p_check => v_check, p_settings => '{row_security = off, enable_seqscan = on}');
  return next rowferry._function_sql(p_entity, 'emptied_', '(p_relation regclass) returns setof text', format($f$  return query execute format(%L, p_relation);
$f$, 'select ' || replace(v_id, '%', '%%') || ' from only %s t' || coalesce(' where ' || replace(rowferry._filter_sql(p_entity, 't'), '%', '%%'), '')));

  select p.* into v_parent from rowferry.entities p where p.name = p_entity.within;
  if not found then
    return;
  end if;
  v_own.within := null;
  select string_agg(format('t.%I', c.local), ', ' order by c.key_position), string_agg('k.k' || c.key_position, ', ' order by c.key_position)
  into v_order, v_after
  from rowferry._column_parts(p_entity) c
  where c.key_position is not null;
  v_followers := format('select %s, %s, %s from %s t join %s p on %s join %s on %s', rowferry._record_id_sql(v_parent, 'p'),
    rowferry._record_id_sql(p_entity, 't'), rowferry._filter_sql(p_entity, 't'),
    rowferry._filtered_sql(v_own, rowferry._only_sql(p_entity)), rowferry._only_sql(v_parent),
    (select string_agg(format('p.%I operator(pg_catalog.=) t.%I', k.parent, k.child), ' and ' order by k.ord)
      from unnest(p_entity.within_columns, p_entity.within_parent_columns) with ordinality k (child, parent, ord)),
    rowferry._keys_sql(v_parent, '$1'), rowferry._key_join_sql(v_parent, 'p'));
  -- As above: p_limit decides between an index and a sort.
  return next rowferry._function_sql(p_entity, 'followers_',
    '(p_parents text[], p_after text, p_limit integer, out o_parents text[], out o_keys text[], out o_within boolean[])',
    format($f$  if $2 is null then
    select array_agg(f.parent), array_agg(f.record_id), array_agg(f.is_within)
    into o_parents, o_keys, o_within
    from (%1$s order by %2$s limit $3) f (parent, record_id, is_within);
  else
    select array_agg(f.parent), array_agg(f.record_id), array_agg(f.is_within)
    into o_parents, o_keys, o_within
    from (%1$s
      where (%2$s) > (select %3$s from %4$s)
      order by %2$s limit $3) f (parent, record_id, is_within);
  end if;
$f$, v_followers, v_order, v_after, rowferry._keys_sql(p_entity, 'array[$2]')), p_settings => '{row_security = off, plan_cache_mode = force_custom_plan}');
end
$function$;
comment on function rowferry._list_keys_sql(rowferry.entities) is
  'DDL of the functions that list keys of an entity. keys_ walks them in the order of their index, a chunk at a time, for backfill and compare. count_ counts '
  'the rows that are kept in sync, no further than p_most. emptied_ lists the keys of the table, or of one partition, before a TRUNCATE. followers_ finds the '
  'rows that follow some rows of the parent: their keys, the parent of each, and whether each is kept in sync now; in the order of the keys, after p_after. A '
  'row outside of the entity''s own filter follows none; there is no such function for an entity that follows no other.';
