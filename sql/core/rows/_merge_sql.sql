-- The function that merges rows which both sides changed, as DDL: nothing unless this node is the arbiter of an entity with a merge rule. It calls the
-- user's function with this node's row and the other's, each null where it was deleted; columns that do not travel are null in the other's.
create or replace function rowferry._merge_sql(
  p_entity rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
declare
  v_owner_check text := rowferry._read_only_sql(p_entity) || rowferry._users_check_sql(p_entity, substring(p_entity.conflict_rule from '^merge:(.+)$'), true);
  v_path text := (select concat_ws(', ', quote_ident(n.nspname), case when n.nspname <> 'public' then 'public' end, 'pg_temp')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_entity.relation);
  v_names text[];
  v_from text;
  v_join text;
  v_values text;
  v_record_id constant text := rowferry._record_id_sql(p_entity, 't');
  v_within text;
  v_find_within text := '';
begin
  if p_entity.conflict_rule not like 'merge:%' or not rowferry._merges_here(p_entity.peer) then
    return;
  end if;
  v_names := parse_ident(substring(p_entity.conflict_rule from 7));
  select
    string_agg(format('pg_catalog.unnest(($3[%s])::%s[])', c.place, case when c.typed then c.type else 'text' end), ', ' order by c.place)
      || ') u (' || string_agg('c' || c.place, ', ' order by c.place),
    string_agg(format('t.%I operator(pg_catalog.=) k.k%s', c.local, c.key_position), ' and ' order by c.key_position) filter (where c.key_position is not null),
    string_agg(case when c.typed then format('pg_catalog.array_agg(t.%I)::text', c.local)
      else format('pg_catalog.array_agg(pg_catalog.textin(%s(t.%I)))::text', c.output, c.local) end, E',\n      ' order by c.place)
  into v_from, v_join, v_values
  from rowferry._entity_columns(p_entity) c;
  if coalesce(p_entity.filter, p_entity.within) is not null then
    -- Looked for without users' schemas in the path, whose operators might be taken for those of the filter.
    v_find_within := format($f$  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  v_within := array(select %s from %s t join %s on %s where %s);
  perform pg_catalog.set_config('search_path', %L, true);
$f$, v_record_id, rowferry._only_sql(p_entity), rowferry._keys_sql(p_entity, '$1'), v_join, rowferry._filter_sql(p_entity, 't'), v_path);
    v_within := format(' join pg_catalog.unnest($4) w (key) on w.key operator(pg_catalog.=) %s', v_record_id);
  end if;

  return next format($f$create or replace function rowferry.%1$I(
  p_keys text[],
  p_their_keys text[],
  p_columns text[],
  out o_keys text[],
  out o_columns text[],
  out o_moved text[]
)
language plpgsql
security definer
set search_path = %2$s
set row_security = off
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
set enable_hashjoin = on  -- off in _decide(), which calls it: each row would be compared with each
as $rowferry$
%5$sbegin
%3$s%6$s  execute %4$s
  into o_keys, o_columns, o_moved
  using $1, $2, $3%7$s;
exception
  when sqlstate 'RF102' then
    raise;  -- only a block with handlers is a subtransaction
end
$rowferry$$f$,
    rowferry._generated_name('merge_', p_entity.name), v_path, v_owner_check,
    -- The rows have as many columns as there are when it runs, whatever was added since.
    rowferry._rows_of_sql(p_entity, format($f$
  with merged as materialized (
    select r.record_id, %1$I.%2$I(m.image, o.image) as image
    from pg_catalog.unnest($1) r (record_id)
    left join (
      select %3$s as record_id, t as image
      from %4$s t join %5$s on %6$s%7$s
    ) m on m.record_id operator(pg_catalog.=) r.record_id
    left join (
      select u.record_id, $f$, v_names[1], v_names[2], v_record_id, rowferry._only_sql(p_entity, true), rowferry._keys_sql(p_entity, '$1'), v_join, v_within),
    format($f$ as image
      from rows from (%1$s, record_id)
    ) o on o.record_id operator(pg_catalog.=) r.record_id
  )
  select pg_catalog.array_agg(x.record_id), array[
      %2$s],
    pg_catalog.array_agg(x.record_id) filter (where %3$s operator(pg_catalog.<>) x.record_id)
  from merged x
  cross join lateral (select (x.image).*) t
  where not x.image is null$f$, replace(v_from, ') u (', ', pg_catalog.unnest($2)) u ('), v_values, v_record_id)),
    case when v_within is null then '' else E'#variable_conflict use_column\ndeclare\n  v_within text[];\n' end, v_find_within, case when v_within is null then '' else ', v_within' end);
end
$function$;
comment on function rowferry._merge_sql(rowferry.entities) is 'DDL of the function that merges rows which both sides changed.';
