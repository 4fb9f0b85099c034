-- The view of an entity's events, as DDL: each event with the key in its own types and the present row.
create or replace function rowferry._events_view_sql(
  p_entity rowferry.entities
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format(E'create view rowferry.%I as\nselect e.id as event_id, e.event_type, e.changed_at, e.attempts, e.not_before, e.last_error, %s,\n  t as present_row\nfrom rowferry.sync_events e\ncross join lateral %s\nleft join %s t on %s\nwhere e.entity = %L',
    rowferry._object_name('', p_entity.name, '_events'),
    string_agg(format('k.k%s as %I', c.key_position, 'key_' || c.name), ', ' order by c.key_position),
    rowferry._keys_sql(p_entity, 'array[e.record_id]'), p_entity.relation,
    string_agg(format('t.%I = k.k%s', c.local, c.key_position), ' and ' order by c.key_position), p_entity.name)
  from rowferry._entity_columns(p_entity) c
  where c.key_position is not null
$$;
comment on function rowferry._events_view_sql(rowferry.entities) is 'DDL of the view of an entity''s events.';
revoke all on function rowferry._events_view_sql(rowferry.entities) from public;
