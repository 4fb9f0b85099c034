create or replace function rowferry._behind(
  p_peer text
)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_agg(distinct b.name order by b.name)
  from rowferry.links l
  left join rowferry.peer_facts f on f.peer = l.peer
  cross join lateral (select l.peer union select jsonb_array_elements_text(f.facts -> 'behind')) b (name)
  where l.peer <> p_peer and l.slot is null and exists (select from rowferry.entities e where e.peer = l.peer)
$$;
comment on function rowferry._behind(text) is
  'The nodes that changes of p_peer reach through this one, as far as this node has heard; null: none. A node that hears its own name is in a ring.';
