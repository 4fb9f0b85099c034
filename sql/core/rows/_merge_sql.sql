create or replace function rowferry._merge_sql(
  p_entity rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_function constant text := substring(p_entity.conflict_rule from '^merge:(.+)$');
  v_names constant text[] := parse_ident(v_function);
  v_id constant text := rowferry._record_id_sql(p_entity, 't');
  v_filtered constant boolean := coalesce(p_entity.filter, p_entity.within) is not null;
  v_mine text;
  v_find_within text := '';
begin
  if v_function is null or not rowferry._merges_here(p_entity.peer) then
    return;
  end if;
  v_mine := format('t join %s on %s', rowferry._keys_sql(p_entity, '$1'), rowferry._key_join_sql(p_entity));
  if v_filtered then
    v_find_within := rowferry._off_path_sql(p_entity, format(E'  v_within := array(select %s from %s %s where %s);\n', v_id, rowferry._only_sql(p_entity),
      v_mine, rowferry._filter_sql(p_entity, 't')));
    v_mine := v_mine || format(' join pg_catalog.unnest($4) w (key) on w.key operator(pg_catalog.=) %s', v_id);
  end if;
  return next rowferry._function_sql(p_entity, 'merge_',
    '(p_keys text[], p_their_keys text[], p_columns text[], out o_keys text[], out o_columns text[], out o_moved text[])',
    v_find_within || format($f$  execute %s
  into o_keys, o_columns, o_moved
  using $1, $2, $3%s;
$f$,
      rowferry._rows_of_sql(p_entity, format($f$
  with merged as materialized (
    select r.record_id, %1$I.%2$I(m.image, o.image) as image
    from pg_catalog.unnest($1) r (record_id)
    left join (
      select %3$s as record_id, t as image
      from %4$s %5$s
    ) m on m.record_id operator(pg_catalog.=) r.record_id
    left join (
      select u.record_id, $f$, v_names[1], v_names[2], v_id, rowferry._only_sql(p_entity, true), v_mine),
        format($f$ as image
      from %1$s
    ) o on o.record_id operator(pg_catalog.=) r.record_id
  )
  select pg_catalog.array_agg(x.record_id), array[
      %2$s],
    pg_catalog.array_agg(x.record_id) filter (where %3$s operator(pg_catalog.<>) x.record_id)
  from merged x
  cross join lateral (select (x.image).*) t
  where not x.image is null$f$, rowferry._received_sql(p_entity, '$3', '$2'),
          (select string_agg(c.printed, E',\n      ' order by c.place) from rowferry._column_parts(p_entity) c), v_id)),
      case when v_filtered then ', v_within' end),
    case when v_filtered then E'  v_within text[];\n' end, rowferry._users_check_sql(p_entity, v_function, true), p_stable => false,
      p_path => rowferry._users_path(p_entity),
    -- Hash joins are off in _decide(), which calls the function: each row would be compared with each.
    p_settings => '{row_security = off, enable_hashjoin = on}');
end
$function$;
comment on function rowferry._merge_sql(rowferry.entities) is
  'DDL of the function that merges rows which both sides changed: none unless this node merges for an entity with a merge rule. It calls the user''s function '
  'with this node''s row and the other''s; each is null where it was deleted, and columns that do not travel are null in the other''s. The rows have as many '
  'columns as there are when it runs, whatever was added since.';
