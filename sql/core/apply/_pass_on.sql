create or replace function rowferry._pass_on(
  p_peer text,
  p_sections rowferry._section[],
  p_after bigint
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
  update rowferry.events e set hops = case when c.stamp > '-infinity' then 0 else least(e.hops, c.hops) end,
    changed_at = case when c.stamp > '-infinity' then c.stamp else e.changed_at end
  from (
    select o.id as entity_id, k.record_id, max(k.stamp) as stamp, greatest(max((p_sections[i]).hops), 1) as hops
    from generate_subscripts(p_sections, 1) i
    join rowferry.entities n on n.name = (p_sections[i]).entity
    join rowferry.entities o on o.relation = n.relation and o.peer <> p_peer and o.key_columns = n.key_columns and o.key_types = n.key_types
      and array(select (c.name, c.local)::text from unnest(o.columns, o.local_columns) c (name, local) where c.name = any (o.key_columns))
        = array(select (c.name, c.local)::text from unnest(n.columns, n.local_columns) c (name, local) where c.name = any (n.key_columns))
    cross join lateral unnest((p_sections[i]).event_keys, (p_sections[i]).event_stamps) k (record_id, stamp)
    group by o.id, k.record_id
  ) c
  where e.id > p_after and e.hops > 0 and rowferry._written_here(e.xmin) and e.entity_id = c.entity_id
    and rowferry._index_key(e.record_id) = rowferry._index_key(c.record_id);
end
$$;
comment on function rowferry._pass_on(text, rowferry._section[], bigint) is
  'Gives the events by which changes of p_peer go on to other peers the time of the change, so that they count in conflicts there as the change of a user '
  'that they are. Consequences that are passed on keep their hops, because only a node that stores a row in another way sends it back. p_after is the last '
  'event before the sections were written. If this node has only one peer there is nothing to pass on.';
