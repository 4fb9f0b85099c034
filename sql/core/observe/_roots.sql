create or replace function rowferry._roots(
  p_peer text
)
returns table (
  o_entity_id integer,
  o_record_id text,
  o_circle boolean,
  o_deleted boolean,
  o_others bigint
)
language sql
stable
set search_path = pg_catalog, pg_temp
set enable_hashjoin = on
set enable_nestloop = off
set enable_mergejoin = off
as $$
  with recursive waits as materialized (
    select m.entity_id, m.record_id, m.deleted, c.events, a.entity_id as above_entity_id, a.record_id as above_record_id
    from rowferry.missing_parents m
    join rowferry.entities n on n.id = m.entity_id and n.peer = p_peer
    cross join lateral (
      select count(*) as events
      from rowferry.held_events h
      where h.parent_entity_id = m.entity_id and rowferry._index_key(h.parent_record_id) = rowferry._index_key(m.record_id) and h.parent_record_id is not null
    ) c
    left join lateral (
      select o.entity_id, o.record_id
      from rowferry._held_of_record(m.entity_id, m.record_id) h
      cross join lateral (
        select * from rowferry.missing_parents v
        where v.entity_id = h.parent_entity_id and rowferry._index_key(v.record_id) = rowferry._index_key(h.parent_record_id) offset 0) o
      where not o.came
      order by h.event_id
      limit 1
    ) a on true
    where not m.came and c.events > 0
  ), down (root_entity_id, root_record_id, deleted, entity_id, record_id, events) as (
    select w.entity_id, w.record_id, w.deleted, w.entity_id, w.record_id, w.events from waits w where w.above_record_id is null
    union all
    select d.root_entity_id, d.root_record_id, d.deleted, w.entity_id, w.record_id, w.events
    from down d
    join waits w on w.above_entity_id = d.entity_id and w.above_record_id = d.record_id
  ), hanging as materialized (
    select w.entity_id, w.record_id, w.events from waits w where (w.entity_id, w.record_id) not in (select d.entity_id, d.record_id from down d)
  ), circle as (
    select u.entity_id, u.record_id
    from (select array_agg(h.entity_id) as entity_ids, array_agg(h.record_id) as record_ids from (select * from hanging limit 1000) h) a
    cross join lateral rowferry._parents_awaited(a.entity_ids, a.record_ids) u
    where u.above_entity_id = u.entity_id and u.above_record_id = u.record_id
  )
  select d.root_entity_id, d.root_record_id, false, d.deleted, sum(d.events)::bigint
  from down d
  group by d.root_entity_id, d.root_record_id, d.deleted
  union all
  select c.entity_id, c.record_id, true, false, case when row_number() over (order by c.entity_id, c.record_id) = 1
    then (select sum(h.events)::bigint from hanging h) - count(*) over () else 0 end
  from circle c
$$;
comment on function rowferry._roots(text) is
  'What rows that wait for a parent wait for in the end: the records that the peer lacks and that do not wait themselves, each with the number of events '
  'that wait for it, directly or through others. Rows that wait for each other (o_circle) have no such record. Each of them is returned, the first with the '
  'number of all others that wait for any of them. o_deleted says that the peer has deleted the record, and that this delete waits on the peer.';
