-- The planner inlines this function into the query that calls it, so it has no settings, and each name is qualified.
-- offset 0: whatever the statistics say, and whatever the caller asks besides, the index on records finds them.
create or replace function rowferry._held_of_record(
  p_entity_id integer,
  p_record_id text
)
returns setof rowferry.held_events
language sql
stable
as $$
  select v.*
  from rowferry.held_events v
  where v.entity_id operator(pg_catalog.=) p_entity_id and rowferry._index_key(v.record_id) operator(pg_catalog.=) rowferry._index_key(p_record_id)
  offset 0
$$;
comment on function rowferry._held_of_record(integer, text) is 'The held events of a record.';
