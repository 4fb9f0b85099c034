create or replace function rowferry._lost_in_cascade(
  p_peer text,
  p_after bigint,
  p_acked int8multirange
)
returns jsonb
language sql
volatile
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
  select coalesce(jsonb_agg(jsonb_build_object('entity', l.name, 'record_id', l.record_id, 'stamp', l.stamp) order by l.name, l.record_id), '[]')
  from (
    select n.name, c.record_id, coalesce(max(rowferry._stamp(o)), '-infinity') as stamp
    from rowferry.events c
    join rowferry.entities n on n.id = c.entity_id and n.peer = p_peer
    left join rowferry.events o on o.entity_id = c.entity_id and rowferry._index_key(o.record_id) = rowferry._index_key(c.record_id)
      and o.id <> c.id and o.hops = 0 and o.event_type in ('i', 'u') and not o.id <@ p_acked
    where c.id > p_after and c.hops > 0 and c.event_type = 'd' and rowferry._written_here(c.xmin) and (o.id is not null or n.unsettled_since is not null)
    group by n.name, c.record_id
  ) l
$$;
comment on function rowferry._lost_in_cascade(text, bigint, int8multirange) is
  'Records of this node that a cascade has just deleted, although they had changes that the peer had not acknowledged (p_acked), or may have had some that '
  'nobody remembers, because the entity is not settled after resync(). The foreign key decides about them and no rule; but their rows must be kept as any '
  'loser''s is, even if the row has just won a conflict. Only entities of the link to p_peer count. p_after is the last event before the batch was written.';
