create or replace function rowferry._end_skips(
  p_entity_id integer,
  p_keys text[],
  p_outcome text
)
returns void
language sql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
  update rowferry.skips s
  set ended_at = rowferry._now(), kept = false, outcome = concat_ws('; then ', s.outcome, p_outcome)
  where s.entity_id = p_entity_id and rowferry._index_key(s.record_id) = any (rowferry._index_keys(p_keys)) and s.ended_at is null
$$;
comment on function rowferry._end_skips(integer, text[], text) is
  'Ends the skips of these records that are in force, because somebody decided something else about the record, or it changed.';
