create or replace function rowferry._parents_awaited(
  p_entity_ids integer[],
  p_record_ids text[]
)
returns table (
  entity_id integer,
  record_id text,
  above_entity_id integer,
  above_record_id text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
#variable_conflict use_column
begin
  return query
  with recursive up (entity_id, record_id, above_entity_id, above_record_id) as (
    select r.entity_id, r.record_id, h.parent_entity_id, h.parent_record_id
    from unnest(p_entity_ids, p_record_ids) r (entity_id, record_id)
    cross join lateral rowferry._held_of_record(r.entity_id, r.record_id) h
    where h.parent_record_id is not null
    union
    select u.entity_id, u.record_id, h.parent_entity_id, h.parent_record_id
    from up u
    cross join lateral rowferry._held_of_record(u.above_entity_id, u.above_record_id) h
    where h.parent_record_id is not null
  )
  select * from up;
end
$$;
comment on function rowferry._parents_awaited(integer[], text[]) is
  'For each of these records, all records that it waits for, directly or through others, because the peer lacks them.';
