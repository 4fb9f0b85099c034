create trigger sync_events_delete
instead of delete on rowferry.sync_events
for each row execute function rowferry._skip_deleted();
