create or replace function rowferry._on_node(
  p_line text,
  p_node text
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select case when strpos(p_line, '  -- ') = 0 then format('%s  -- on %s', p_line, p_node)
    else format('%s  -- on %s; %s', split_part(p_line, '  -- ', 1), p_node, substr(p_line, strpos(p_line, '  -- ') + 5)) end
$$;
comment on function rowferry._on_node(text, text) is 'A line to type, followed by the node on which to type it.';
