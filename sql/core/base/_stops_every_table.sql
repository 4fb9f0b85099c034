create or replace function rowferry._stops_every_table(
  p_sqlstate text,
  p_context text
)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select rowferry._is_transient(p_sqlstate, p_context) and left(p_sqlstate, 2) not in ('53', '58')
$$;
comment on function rowferry._stops_every_table(text, text) is
  'Whether an error says nothing about a table either, so that the call fails and is tried again. What a table lacks (a file, room for a sort or for a '
  'row) is not among these errors. p_context is the call stack, see _in_users_code().';
