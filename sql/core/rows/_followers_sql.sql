-- The function that finds the rows of an entity that follow some rows of its parent, as DDL: their keys, that of the parent of each, and whether each is kept in sync now; in the order of their
-- keys, after one of them. A row outside of the entity's own filter follows none. None for an entity that follows no other.
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
  v_from text;
  v_order text;
begin
  if v_parent.id is null then
    return;
  end if;
  v_own.within := null;
  v_order := (select string_agg(format('t.%I', c.local), ', ' order by c.key_position) from rowferry._entity_columns(p_entity) c where c.key_position is not null);
  select format('select %s, %s, %s from %s t join %s p on %s join %s on %s', rowferry._record_id_sql(v_parent, 'p'), rowferry._record_id_sql(p_entity, 't'), rowferry._filter_sql(p_entity, 't'),
    rowferry._filtered_sql(v_own, rowferry._only_sql(p_entity)), rowferry._only_sql(v_parent),
    (select string_agg(format('p.%I operator(pg_catalog.=) t.%I', k.parent, k.child), ' and ' order by k.ord)
      from unnest(p_entity.within_columns, p_entity.within_parent_columns) with ordinality k (child, parent, ord)),
    rowferry._keys_sql(v_parent, '$1'),
    (select string_agg(format('p.%I operator(pg_catalog.=) k.k%s', c.local, c.key_position), ' and ' order by c.key_position)
      from rowferry._entity_columns(v_parent) c where c.key_position is not null))
  into v_from;
  return next format($f$create or replace function rowferry.%1$I(
  p_parents text[],
  p_after text,
  p_limit integer,
  out o_parents text[],
  out o_keys text[],
  out o_within boolean[]
)
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
set plan_cache_mode = force_custom_plan  -- how many rows are asked for decides between an index and a sort
as $rowferry$
#variable_conflict use_column
begin
%2$s  if $2 is null then
    select array_agg(f.parent), array_agg(f.record_id), array_agg(f.is_within)
    into o_parents, o_keys, o_within
    from (%3$s order by %4$s limit $3) f (parent, record_id, is_within);
  else
    select array_agg(f.parent), array_agg(f.record_id), array_agg(f.is_within)
    into o_parents, o_keys, o_within
    from (%3$s
      where (%4$s) > (select %5$s from %6$s)
      order by %4$s limit $3) f (parent, record_id, is_within);
  end if;
exception
  when sqlstate 'RF102' then
    raise;  -- only a block with handlers is a subtransaction
end
$rowferry$$f$,
    rowferry._generated_name('followers_', p_entity.name), rowferry._read_only_sql(p_entity), v_from, v_order,
    (select string_agg('k.k' || c.key_position, ', ' order by c.key_position) from rowferry._entity_columns(p_entity) c where c.key_position is not null),
    rowferry._keys_sql(p_entity, 'array[$2]'));
end
$function$;
comment on function rowferry._followers_sql(rowferry.entities) is 'DDL of the function that finds the rows of an entity that follow some rows of its parent.';
