-- How much waits, by kind of record, and since when.
select peer, entity, event_type, count(*) as pending, count(*) filter (where attempts > 0) as held, date_trunc('millisecond', clock_timestamp() - min(changed_at)) as oldest from rowferry.sync_events group by 1, 2, 3 order by 1, 2, 3;
