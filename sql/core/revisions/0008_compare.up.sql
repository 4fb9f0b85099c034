grant select on rowferry.compare_runs, rowferry.compare_report, rowferry.differences, rowferry.backfill_progress to rowferry_viewer;
grant execute on function rowferry._estimated_rows(regclass) to rowferry_viewer;
grant execute on function rowferry.compare(text), rowferry.repair(text, text, boolean, bigint),
  rowferry.first_contact(text, text, text, text, text) to rowferry_operator;
