create or replace function rowferry._is_deleted(
  p_entity_id integer,
  p_record_id text
)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
  select coalesce((
    select e.event_type = 'd'
    from rowferry._events_of_record(p_entity_id, p_record_id) e
    order by e.id desc
    limit 1), false)
$$;
comment on function rowferry._is_deleted(integer, text) is 'Whether the last change of a record that waits here is its delete.';
