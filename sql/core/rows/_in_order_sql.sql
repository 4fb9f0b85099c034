create or replace function rowferry._in_order_sql(
  p_entity rowferry.entities,
  p_offset integer default 0
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_written constant rowferry.entities := rowferry._written(p_entity);
  v_only constant text := rowferry._only_sql(p_entity);
  v_update constant text := (
    select format('update %s t set %s where %s and (%s)', v_only, string_agg(u.assignments, ', ' order by u.number),
      rowferry._key_join_sql(v_written, p_received => true),
      string_agg(u.differs, ' or ' order by u.number) filter (where u.is_unique))
    from rowferry._update_units(p_entity) u
    having bool_or(u.is_unique));
begin
  if v_update is null then
    return '';
  end if;
  -- The key is found by its index, even if the table was small when this was planned.
  return format($f$  if $3 is not null then
%s    v_seqscan := pg_catalog.current_setting('enable_seqscan');
    perform pg_catalog.set_config('enable_seqscan', 'off', true);
    for u in select u.* from %s loop
      %s;
    end loop;
    perform pg_catalog.set_config('enable_seqscan', v_seqscan, true);
  end if;
$f$, (
      select string_agg(format($f$    if $3 operator(pg_catalog.?) %1$L then
      execute %2$L using array(select pg_catalog.jsonb_array_elements_text($3 operator(pg_catalog.->) %1$L));
    end if;
$f$, a.local, format('update %s t set %I = null from %s where %s', v_only, a.local, rowferry._keys_sql(p_entity, '$1'), rowferry._key_join_sql(p_entity))), '')
      from (select distinct s.local from rowferry._aside_columns(p_entity) s) a),
    rowferry._received_sql(v_written, p_offset => p_offset), v_update);
end
$function$;
comment on function rowferry._in_order_sql(rowferry.entities, integer) is
  'PL/pgSQL that updates rows whose unique values change one by one, in their order, if the caller has them in $3: a column, and the rows in which it is '
  'null in between so that they exchange their values. It is empty if no column is unique.';
