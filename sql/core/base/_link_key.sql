-- The advisory lock of a link: whoever changes where its exchange stands holds it until its transaction ends.
create or replace function rowferry._link_key(
  p_peer text
)
returns bigint
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$ select hashtextextended('rowferry link ' || p_peer, 0) $$;
comment on function rowferry._link_key(text) is 'The advisory lock of a link.';
