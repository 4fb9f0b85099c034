create or replace function rowferry._followers_sql(
  p_entity rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_own rowferry.entities := p_entity;
  v_parent rowferry.entities := (select p from rowferry.entities p where p.name = p_entity.within);
  v_select text;
  v_order text;
  v_after text;
begin
  if v_parent.id is null then
    return;
  end if;
  v_own.within := null;
  select string_agg(format('t.%I', c.local), ', ' order by c.key_position), string_agg('k.k' || c.key_position, ', ' order by c.key_position) into v_order, v_after
  from rowferry._column_parts(p_entity) c
  where c.key_position is not null;
  v_select := format('select %s, %s, %s from %s t join %s p on %s join %s on %s', rowferry._record_id_sql(v_parent, 'p'), rowferry._record_id_sql(p_entity, 't'), rowferry._filter_sql(p_entity, 't'),
    rowferry._filtered_sql(v_own, rowferry._only_sql(p_entity)), rowferry._only_sql(v_parent),
    (select string_agg(format('p.%I operator(pg_catalog.=) t.%I', k.parent, k.child), ' and ' order by k.ord)
      from unnest(p_entity.within_columns, p_entity.within_parent_columns) with ordinality k (child, parent, ord)),
    rowferry._keys_sql(v_parent, '$1'), rowferry._key_join_sql(v_parent, 'p'));
  -- How many rows are asked for decides between an index and a sort.
  return next rowferry._function_sql(p_entity, 'followers_', '(p_parents text[], p_after text, p_limit integer, out o_parents text[], out o_keys text[], out o_within boolean[])', format($f$  if $2 is null then
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
$f$, v_select, v_order, v_after, rowferry._keys_sql(p_entity, 'array[$2]')), p_settings => '{row_security = off, plan_cache_mode = force_custom_plan}');
end
$function$;
comment on function rowferry._followers_sql(rowferry.entities) is
  'DDL of the function that finds the rows of an entity that follow some rows of its parent: their keys, the parent of each, and whether each is kept in sync now; in the order of the keys, after p_after. A row outside of the '
  'entity''s own filter follows none. No function for an entity that follows no other.';
