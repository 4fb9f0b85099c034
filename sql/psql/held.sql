-- Changes that the peer refused or that cannot leave this node, and why; all others move on.
select id, entity, record_id, event_type, attempts, not_before, sqlstate, last_error, hint from rowferry.sync_events where attempts > 0 order by id;
