-- Of two nodes that merge, the one that does it: the one whose name sorts first. Computed on both sides, a merge of a merge would never end.
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
comment on function rowferry._merges_here(text) is 'Whether this node merges what both sides changed.';
