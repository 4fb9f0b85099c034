-- What the next batch would send.
select * from rowferry.preview();
