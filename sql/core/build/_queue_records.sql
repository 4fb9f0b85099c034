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
  -- As new as what was written while they were outside, which this node weighs in a conflict, and of which the peer hears nothing else.
  select greatest(r.stamp, w.newest), p_entity.id, case when w.newest is null then r.hops else 0 end, 'u', r.record_id
  from unnest(p_records, p_within, p_stamps, p_hops) r (record_id, is_within, stamp, hops)
  cross join lateral (
    select max(e.changed_at)
    from rowferry.events e
    where rowferry._index_key(e.record_id) = rowferry._index_key(r.record_id) and e.entity_id = p_entity.id and e.event_type in ('i', 'u') and e.hops = 0) w (newest)
  where r.is_within;
  perform rowferry._queue_following(p_entity, p_records, p_stamps, p_hops, p_most);
  insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id)
  select r.stamp, p_entity.id, r.hops, 'd', r.record_id from unnest(p_records, p_within, p_stamps, p_hops) r (record_id, is_within, stamp, hops) where not r.is_within;
end
$$;
comment on function rowferry._queue_records(rowferry.entities, text[], boolean[], timestamptz[], smallint[], integer) is 'Queues records of an entity whose parents moved, and what follows them.';
