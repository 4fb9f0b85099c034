create or replace function rowferry._parents_came(
  p_entity_ids integer[],
  p_record_ids text[]
)
returns void
language sql
set search_path = pg_catalog, pg_temp
set enable_hashjoin = on
set enable_nestloop = off
set enable_mergejoin = off
as $$
  with recursive edges as materialized (
    select m.entity_id, m.record_id, h.parent_entity_id, h.parent_record_id
    from rowferry.missing_parents m
    join rowferry.held_events h on h.entity_id = m.entity_id and rowferry._index_key(h.record_id) = rowferry._index_key(m.record_id)
      and h.parent_record_id is not null
    where not m.came
    limit 10000
  ), came (entity_id, record_id) as (
    select m.entity_id, m.record_id
    from unnest(p_entity_ids, p_record_ids) r (entity_id, record_id)
    cross join lateral (
      select * from rowferry.missing_parents v
      where v.entity_id = r.entity_id and rowferry._index_key(v.record_id) = rowferry._index_key(r.record_id) offset 0) m
    where not m.came
    union
    select e.entity_id, e.record_id
    from came c
    join edges e on e.parent_entity_id = c.entity_id and e.parent_record_id = c.record_id
  )
  update rowferry.missing_parents m set came = true
  from came c
  where m.entity_id = c.entity_id and rowferry._index_key(m.record_id) = rowferry._index_key(c.record_id)
$$;
comment on function rowferry._parents_came(integer[], text[]) is
  'The peer has these records now, so rows that wait for them may be sent, and with them the rows that wait for those. Of a tree of many levels 10,000 rows '
  'are sent at once, the others level by level.';
