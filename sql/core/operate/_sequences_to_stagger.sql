create or replace function rowferry._sequences_to_stagger(
  p_peer text
)
returns setof regclass
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select distinct (c.value #>> '{sequence,id}')::oid::regclass
  from rowferry.entities e
  cross join lateral jsonb_each(rowferry._possible_columns(e.relation)) c
  join unnest(e.columns, e.local_columns) n (name, local) on n.local = c.key
  left join rowferry.peer_facts f on f.peer = e.peer
  where e.direction = 'both' and (p_peer is null or e.peer = (rowferry._find_link(p_peer)).peer) and c.value ? 'sequence'
    and (not coalesce(f.facts -> 'entities' ? e.name, false) or f.facts #> array['entities', e.name, 'columns', n.name] ? 'sequence')
$$;
comment on function rowferry._sequences_to_stagger(text) is
  'For stagger_sequences(): the sequences that feed unique columns of tables whose rows go both ways, without those whose column the peer fills from no '
  'sequence.';
