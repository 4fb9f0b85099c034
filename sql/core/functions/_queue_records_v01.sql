-- Queues records of an entity whose parents moved, and what follows them: those that are within go before what follows them, those that are outside after it.
create or replace function rowferry._queue_records(
  p_entity rowferry.entities,
  p_records text[],
  p_within boolean[],
  p_stamps timestamptz[],
  p_hops smallint[],
  p_most integer
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id)
  select r.stamp, p_entity.id, r.hops, 'u', r.record_id from unnest(p_records, p_within, p_stamps, p_hops) r (record_id, is_within, stamp, hops) where r.is_within;
  perform rowferry._queue_following(p_entity, p_records, p_stamps, p_hops, p_most);
  insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id)
  select r.stamp, p_entity.id, r.hops, 'd', r.record_id from unnest(p_records, p_within, p_stamps, p_hops) r (record_id, is_within, stamp, hops) where not r.is_within;
end
$$;
comment on function rowferry._queue_records(rowferry.entities, text[], boolean[], timestamptz[], smallint[], integer) is 'Queues records of an entity whose parents moved, and what follows them.';
revoke all on function rowferry._queue_records(rowferry.entities, text[], boolean[], timestamptz[], smallint[], integer) from public;
