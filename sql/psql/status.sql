-- Where each link stands. Start here.
select * from rowferry.status;
