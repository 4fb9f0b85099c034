create or replace function rowferry._courier_lock(
  p_node text,
  p_peer text
)
returns bigint
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select hashtextextended('rowferry courier ' || least(p_node collate "C", p_peer) || ' ' || greatest(p_node collate "C", p_peer), 0)
$$;
comment on function rowferry._courier_lock(text, text) is
  'Key of the advisory lock that makes a worker the courier between two nodes. The worker takes it on both.';
