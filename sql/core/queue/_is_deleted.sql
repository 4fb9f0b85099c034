-- Whether the last change of a record that waits here is its delete.
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
    from (select * from rowferry.events v where v.entity_id = p_entity_id and rowferry._index_key(v.record_id) = rowferry._index_key(p_record_id) offset 0) e
    order by e.id desc
    limit 1), false)
$$;
comment on function rowferry._is_deleted(integer, text) is 'Whether the last change of a record that waits here is its delete.';
