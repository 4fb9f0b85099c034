-- Which of these records the peer may have: those that are within what is kept in sync, and those of which an event waits that says more than that the row was written, or was moved outside.
create or replace function rowferry._may_be_there(
  p_entity rowferry.entities,
  p_records text[]
)
returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_within text[];
begin
  execute format('select o_keys from rowferry.%I($1, null, false)', rowferry._generated_name('hash_', p_entity.name)) into v_within using p_records;
  perform rowferry._left_nothing();
  return v_within || array(
    select e.record_id from rowferry.events e
    where rowferry._index_key(e.record_id) = any (rowferry._index_keys(p_records)) and e.entity_id = p_entity.id and e.event_type not in ('i', 'u') and (e.event_type <> 'w' or e.place is null));
end
$$;
comment on function rowferry._may_be_there(rowferry.entities, text[]) is 'Which of these records the peer may have.';
