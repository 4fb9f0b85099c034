create or replace function rowferry._differing_sql(
  p_entity rowferry.entities
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $function$
  select rowferry._function_sql(p_entity, 'differing_', '(p_columns text[], p_keys text[]) returns text[]', format($f$  return (
    select array_agg(u.record_id)
    from %s
    left join %s t on %s
    where t.%I is null or row(%s)::record *<> row(%s)::record
  );
$f$, rowferry._received_sql(p_entity, p_keys => '$2'), rowferry._only_sql(p_entity, true), rowferry._key_join_sql(p_entity, p_received => true),
      min(c.local) filter (where c.key_position = 1),
      string_agg(format('t.%I::%s', c.local, c.type), ', ' order by c.place), string_agg(format('%s::%s', c.value, c.full_type), ', ' order by c.place)),
    p_check => rowferry._users_check_sql(p_entity), p_stable => false)
  from rowferry._column_parts(p_entity) c
$function$;
comment on function rowferry._differing_sql(rowferry.entities) is
  'DDL of the function that says which rows are not stored as they were sent: it compares what travels of each row now with what came.';
