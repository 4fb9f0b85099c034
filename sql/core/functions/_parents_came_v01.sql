-- The peer has these records now: what waits for them follows.
create or replace function rowferry._parents_came(
  p_entity_ids integer[],
  p_record_ids text[]
)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  update rowferry.missing_parents m set came = true
  from unnest(p_entity_ids, p_record_ids) r (entity_id, record_id)
  where m.entity_id = r.entity_id and rowferry._index_key(m.record_id) = rowferry._index_key(r.record_id) and not m.came
$$;
comment on function rowferry._parents_came(integer[], text[]) is 'Lets go what waits for these records.';
revoke all on function rowferry._parents_came(integer[], text[]) from public;
