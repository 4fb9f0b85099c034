create or replace function rowferry._payload_sql(
  p_entity rowferry.entities
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format('rows from (%s, pg_catalog.unnest($2)) u (%s, record_id) cross join lateral (select %s) p',
    string_agg(format('pg_catalog.unnest(($1[%s])::%s[])', c.place, case when t.known and c.typed then c.type else 'text' end), ', ' order by c.place),
    string_agg('c' || c.place, ', ' order by c.place),
    string_agg(format(case when t.known and not c.typed then 'u.c%s::%s as %I' else 'u.c%1$s as %3$I' end, c.place, c.type, c.name), ', ' order by c.place))
  from rowferry._entity_columns(p_entity) c
  cross join lateral (select y.typnamespace = 'pg_catalog'::regnamespace from pg_type y where y.oid = c.type_oid) t (known)
$$;
comment on function rowferry._payload_sql(rowferry.entities) is
  'SQL for a FROM item of a section''s rows: u.record_id, and p with the columns by their entity names. $1 has the literal of an array for each column, $2 the '
  'keys. Values of PostgreSQL''s own types have their type, so that they become numbers, arrays and so on in json. All others, such as enums, are text: this '
  'runs with the rights of rowferry_owner, and so no function of a user''s type may run.';
