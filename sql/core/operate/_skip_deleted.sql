create or replace function rowferry._skip_deleted()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
begin
  perform rowferry.skip(old.id, 'deleted from sync_events');
  return old;
end
$$;
comment on function rowferry._skip_deleted() is 'Makes a delete from sync_events a skip, which is logged.';
