create or replace function rowferry._link_key(
  p_peer text
)
returns bigint
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$ select hashtextextended('rowferry link ' || p_peer, 0) $$;
comment on function rowferry._link_key(text) is
  'Key of the advisory lock of a link. A transaction that changes the state of the exchange holds this lock until it ends.';
