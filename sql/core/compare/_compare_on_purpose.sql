-- Those of these records that a skip keeps on this node, different on purpose.
create or replace function rowferry._compare_on_purpose(
  p_entity_id integer,
  p_keys text[]
)
returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
  select array_agg(distinct s.record_id)
  from rowferry.skips s
  where s.entity_id = p_entity_id and rowferry._index_key(s.record_id) = any (rowferry._index_keys(p_keys)) and s.ended_at is null and s.kept
$$;
comment on function rowferry._compare_on_purpose(integer, text[]) is 'Those of these records that a skip keeps on this node, different on purpose.';
