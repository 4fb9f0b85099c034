-- PL/pgSQL statements that raise RF039 unless the tables whose rows an entity's rows follow, and the columns of these that are looked at, are those that they were. Whoever owns such a
-- table may be another role: a column of a type of theirs would have its casts called with the rights of the owner of this one.
create or replace function rowferry._within_check_sql(
  p_entity rowferry.entities
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return coalesce((
  select rowferry._means_sql('table', p.relation::text, p.relation::oid::text) || format($f$  if array(select a.atttypid from pg_catalog.pg_attribute a
    where a.attrelid operator(pg_catalog.=) %L::pg_catalog.oid and a.attname operator(pg_catalog.=) any (%L::pg_catalog.name[]) order by a.attnum) operator(pg_catalog.<>) %L::pg_catalog.oid[] then
    raise exception using errcode = 'RF039', message = 'the table whose rows these follow was altered', detail = %L, hint = 'It says what to type: select * from rowferry.check();';
  end if;
$f$, p.relation::oid, u.names, array(select a.atttypid from pg_attribute a where a.attrelid = p.relation and a.attname = any (u.names) order by a.attnum), p.relation || '.')
    || rowferry._within_check_sql(p)
  from rowferry.entities p
  cross join lateral (
    select array_agg(distinct c order by c) || '{}'::text[]
    from unnest(p_entity.within_parent_columns || p.filter_columns || array(select k.local from rowferry._entity_columns(p) k where k.key_position is not null)) c) u (names)
  where p.name = p_entity.within), '');
end
$function$;
comment on function rowferry._within_check_sql(rowferry.entities) is 'PL/pgSQL statements that make sure that the tables whose rows an entity''s rows follow are those that they were.';
