create or replace function rowferry._sendable_records(
  p_entity_ids integer[],
  p_record_ids text[]
)
returns table (
  entity_id integer,
  record_id text
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
  select r.entity_id, r.record_id
  from unnest(p_entity_ids, p_record_ids) r (entity_id, record_id)
  join rowferry.entities n on n.id = r.entity_id
  where rowferry._is_free(n)
    and exists (
      select
      from rowferry._queue q
      where q.entity_id = r.entity_id and rowferry._index_key(q.record_id) = rowferry._index_key(r.record_id) and coalesce(q.due_at <= rowferry._now(), true)
      offset 0)
    and not exists (
      select
      from rowferry._held_of_record(r.entity_id, r.record_id) h
      where h.patience is not null);
end
$$;
comment on function rowferry._sendable_records(integer[], text[]) is
  'Those of these records of which a change waits here and may be sent now, with others: it is not held, or it is due, or its parent has gone.';
