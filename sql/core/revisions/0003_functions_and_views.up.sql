-- Objects that use functions, which are made after the tables.
create constraint trigger detached_with_events
after insert on rowferry.detached
deferrable initially deferred
for each row execute function rowferry._refuse_loss();

create trigger sync_events_delete
instead of delete on rowferry.sync_events
for each row execute function rowferry._skip_deleted();
