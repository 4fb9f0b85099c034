create or replace function rowferry._courier_at_work(
  p_node text,
  p_peer text
)
returns integer
language sql
stable
set search_path = pg_catalog, pg_temp
as $$ select coalesce(rowferry._lock_holder(rowferry._courier_lock(p_node, p_peer)), rowferry._lock_holder(rowferry._courier_lock(p_node, p_peer) # 1)) $$;
comment on function rowferry._courier_at_work(text, text) is
  'The server process of the courier between two nodes; null: none is at work. If strangers hold the courier''s lock, the courier works without it and '
  'holds the lock beside it, shared.';
