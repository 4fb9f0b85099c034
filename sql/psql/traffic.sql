-- What went over each link in the last day, by kind of record and hour.
select * from rowferry.traffic where hour > now() - interval '1 day' order by hour desc, peer, entity, direction;
