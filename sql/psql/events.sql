-- Changes that wait for the peer, oldest first.
select id, peer, entity, record_id, event_type, changed_at, hops, attempts from rowferry.sync_events order by id limit 50;
