-- Fully qualified and without SET, so that it is inlined.
create or replace function rowferry._link_key(
  p_peer text
)
returns bigint
language sql
immutable
as $$ select pg_catalog.hashtextextended('rowferry link ' operator(pg_catalog.||) p_peer, 0) $$;
comment on function rowferry._link_key(text) is
  'Key of the advisory lock of a link. A transaction that changes the state of the exchange holds this lock until it ends.';
