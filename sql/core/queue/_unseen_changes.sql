create or replace function rowferry._unseen_changes(
  p_entity_id integer,
  p_keys text[],
  p_acked int8multirange,
  p_decided int8multirange
)
returns text[]
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
set plan_cache_mode = force_generic_plan
as $$
begin
  return (
    select array_agg(distinct e.record_id)
    from rowferry.events e
    where rowferry._index_key(e.record_id) = any (rowferry._index_keys(p_keys)) and e.entity_id = p_entity_id and e.event_type <> 'q'
      and not e.id <@ p_acked and not e.id <@ p_decided
  );
end
$$;
comment on function rowferry._unseen_changes(integer, text[], int8multirange, int8multirange) is
  'Those of these keys of which this node has changes that the sender of the batch did not know: it has not acknowledged them (p_acked), and they were not '
  'decided already.';
