create trigger sync_events_delete
instead of delete on rowferry.sync_events
for each row execute function rowferry._skip_deleted();

grant execute on function rowferry.process_batch(text, text, bytea, integer, jsonb, boolean) to rowferry_worker;
grant select on rowferry.sync_events, rowferry.conflicts, rowferry.entities, rowferry.backfills, rowferry.skips to rowferry_viewer;
grant execute on function rowferry.version(), rowferry._index_key(text) to rowferry_viewer;
grant delete on rowferry.sync_events to rowferry_operator;
grant execute on function rowferry.skip(bigint, text), rowferry.retry(bigint), rowferry.pause(text, text), rowferry.resume(text, text),
  rowferry.backfill(text, integer), rowferry.resync(text), rowferry.let_loser_win(bigint) to rowferry_operator;
