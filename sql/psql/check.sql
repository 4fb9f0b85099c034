-- What would go wrong, and what to type against it.
select * from rowferry.check();
