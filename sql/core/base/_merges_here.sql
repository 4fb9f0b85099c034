create or replace function rowferry._merges_here(
  p_peer text
)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select n.name collate "C" < p_peer from rowferry.node n
$$;
comment on function rowferry._merges_here(text) is
  'Whether this node is the one of the two that merges: the one whose name sorts first. If both did it, a merge of a merge would never end.';
