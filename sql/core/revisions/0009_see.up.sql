grant select on rowferry.status to rowferry_viewer;
grant execute on function rowferry._uncaptured(text), rowferry._lock_holder(bigint), rowferry._courier_lock(text, text), rowferry._rate(text), rowferry._waiting(text),
  rowferry.why_stuck(text), rowferry.row_status(text, text) to rowferry_viewer;
