-- The last batches, both ways.
select id, at, peer, direction, number, records, refused, conflicts, ms from rowferry.batches order by id desc limit 50;
