-- A line to type, and after it on which node.
create or replace function rowferry._on_node(
  p_line text,
  p_node text
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select p_line || case when p_line ~ '  -- ' and p_line !~ ';$' then ', on ' else '  -- on ' end || p_node
$$;
comment on function rowferry._on_node(text, text) is 'A line to type, and after it on which node.';
revoke all on function rowferry._on_node(text, text) from public;
