-- The end of applying: from here on every write is captured as usual.
create or replace function rowferry._unmark_applying()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from rowferry.applying a where a.transaction_id = pg_current_xact_id();
  perform set_config('rowferry.applying', '', true);
end
$$;
comment on function rowferry._unmark_applying() is 'Ends applying.';
