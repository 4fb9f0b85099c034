create or replace function rowferry._stir()
returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform nextval('rowferry.stirs');
  return null;
end
$$;
comment on function rowferry._stir() is
  'Trigger function of each table whose rows may give the courier something to do although no event is written. An idle call only looks whether the sequence '
  'stirs and that of the events have moved (_at_rest).';
