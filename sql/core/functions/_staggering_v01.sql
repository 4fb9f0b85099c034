-- What stagger_sequence() needs to know and its caller may not read: which of two nodes this is, by name, and how far the peer's sequences have come that feed the
-- same columns (null: not known).
create or replace function rowferry._staggering(
  p_sequence regclass,
  out o_node_number integer,
  out o_peer_next numeric
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select (select 1 + count(*) from rowferry.links l where l.peer < n.name collate "C")::integer,
    (
      select max((f.facts #>> array['entities', m.key, 'columns', c.key, 'sequence', 'next'])::numeric)
      from rowferry.peer_facts f
      cross join lateral jsonb_each(rowferry._facts(f.peer) -> 'entities') m
      cross join lateral jsonb_each(m.value -> 'columns') c
      where to_regclass(c.value #>> '{sequence,name}') = p_sequence
    )
  from rowferry.node n
$$;
comment on function rowferry._staggering(regclass) is 'For stagger_sequence(): which node this is, and how far the peer''s sequence has come.';
revoke all on function rowferry._staggering(regclass) from public;
