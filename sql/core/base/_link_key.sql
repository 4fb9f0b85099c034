create or replace function rowferry._link_key(
  p_peer text
)
returns bigint
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$ select hashtextextended('rowferry link ' || p_peer, 0) $$;
comment on function rowferry._link_key(text) is
  'Key of the advisory lock of a link. Whoever changes where the exchange stands holds it until the transaction ends.';
