create or replace function rowferry._forget_link(
  p_peer text
)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  delete from rowferry.skips s where s.peer = p_peer;
  delete from rowferry.comparisons c where c.peer = p_peer;
  delete from rowferry.batches b where b.peer = p_peer;
  delete from rowferry.built_batches b where b.peer = p_peer;
  delete from rowferry.taken_batches t where t.peer = p_peer;
  delete from rowferry.traffic t where t.peer = p_peer;
  delete from rowferry.peer_facts f where f.peer = p_peer;
  delete from rowferry.links l where l.peer = p_peer;
$$;
comment on function rowferry._forget_link(text) is
  'Removes the link with a peer, and all that was noted of this peer but for the conflicts, which keep rows that were given up. The caller holds the lock of '
  'the link, and has made sure that no entity is attached for the peer any more.';
