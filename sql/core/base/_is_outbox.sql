create or replace function rowferry._is_outbox(
  p_peer text
)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$ select exists (select from rowferry.links l where l.peer = p_peer and l.slot is not null) $$;
comment on function rowferry._is_outbox(text) is 'Whether this peer is an outbox, which takes rows and answers nothing.';
