create or replace function rowferry._choose_records(
  p_peer text,
  p_limit integer,
  p_alone boolean,
  p_first_id bigint,
  p_left int8multirange,
  p_aside integer[],
  p_held boolean
)
returns table (
  o_entity_id integer,
  o_again boolean,
  o_keys text[],
  o_whole boolean,
  o_cut boolean,
  o_alone bigint,
  o_repeated boolean
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_sort = off  -- grouping by hash keeps the order of events
as $$
declare
  c_looked constant integer := 4000;
  v_mine integer[] := array(
    select e.id from rowferry.entities e where e.peer = p_peer and rowferry._is_free(e) and e.id <> all (p_aside));
  v_flying int8multirange;
  v_resent boolean;
  v_alone bigint;
  v_gaps int8multirange;
  v_most integer;
begin
  select coalesce(range_agg(r) filter (where b.in_flight), '{}'), coalesce(bool_or(not b.in_flight), false) into v_flying, v_resent
  from rowferry.built_batches b cross join lateral unnest(b.ids) r
  where b.peer = p_peer;
  v_gaps := int8multirange(int8range(p_first_id, 9223372036854775807)) - p_left - v_flying;
  -- A row that is large, or ran out of time, is sent alone in a call that may take longer. Other rows are sent between two such rows.
  if p_held and p_alone then
    v_alone := (select a.o_event_id from rowferry._alone(p_peer) a where a.o_allowed and not a.o_flying);
  end if;
  v_most := case when v_alone is null then p_limit + 1 else 0 end;
  return query
  with oldest as materialized (
    select e.entity_id, count(*)::integer as found, max(e.id) as last_id, array_agg(e.record_id) as keys,
      array_agg(e.record_id) filter (where p_held and exists (
        select from rowferry.held_events h where h.entity_id = e.entity_id and rowferry._index_key(h.record_id) = rowferry._index_key(e.record_id))) as held,
      bool_or(e.event_type = 'q') as questions
    from rowferry._sendable_events(v_mine, v_gaps, v_most) e
    group by e.entity_id
  ), counted (found, last_id, repeated) as materialized (
    select coalesce(sum(o.found), 0), max(o.last_id), v_resent or coalesce(bool_or(o.questions), false) or coalesce(
      sum((select count(*) - count(distinct k) from unnest(o.keys[1:c_looked]) k)) >= greatest(1, sum(least(o.found, c_looked)) / 2), false)
    from oldest o
  ), fresh as materialized (
    -- One event too many was looked at. It is the last of all, and the last one of its entity, because grouping by hash keeps the order of events.
    select o.entity_id, case when c.found > p_limit and o.last_id = c.last_id then nullif(o.keys[1:o.found - 1], '{}') else o.keys end as keys, o.held
    from oldest o cross join counted c
  ), due as materialized (
    select d.* from counted c cross join lateral rowferry._due_records(v_mine, v_flying, p_limit, c.found, v_alone) d where p_held
  ), again as (
    select r.entity_id, r.together, array_agg(r.record_id) as keys
    from due d
    cross join lateral unnest(d.o_entity_ids, d.o_record_ids, d.o_together) r (entity_id, record_id, together)
    where (r.entity_id, r.record_id) not in (
      select f.entity_id, k from fresh f cross join lateral unnest(f.held) k
      intersect
      select f.entity_id, k from fresh f cross join lateral unnest(f.keys) k)
    group by r.entity_id, r.together
  )
  select g.entity_id, g.again, g.keys, c.found <= p_limit and v_alone is null, coalesce((select d.o_cut from due d), false), v_alone, c.repeated
  from (
    select coalesce(f.entity_id, r.entity_id) as entity_id, false as again, f.keys || r.keys as keys
    from fresh f
    full join (select r.* from again r where r.together) r on r.entity_id = f.entity_id
    union all
    select r.entity_id, true, r.keys from again r where not r.together
  ) g
  cross join counted c
  order by g.again, g.entity_id;
end
$$;
comment on function rowferry._choose_records(text, integer, boolean, bigint, int8multirange, integer[], boolean) is
  'The records of the next batch for a peer, by entity. They are those of the oldest events, each as often as it has events there, and those of '
  '_due_records() (o_again: in a section of their own). The search for new events begins at p_first_id and leaves out the ids in p_left: none of those waits '
  'for its first batch. Entities in p_aside send nothing now. p_held says that there are held events. o_whole says that nothing else is free to go, and o_cut '
  'that other records are due too. o_alone is the event of a record that travels alone, and then is the only one. o_repeated asks the caller to remove '
  'superseded events first: most of the first 4,000 events are of a few records, or there is a question, or a batch of an earlier courier that nobody has '
  'acknowledged. The function is STABLE, so that it sees the snapshot of _read_batch().';
