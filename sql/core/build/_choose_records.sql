-- The records of the next batch for a peer, by entity: those of the oldest events, one as often as it has some there, and a share of those that were refused
-- before and are due again (o_again). STABLE, as _read_batch, whose snapshot it sees. o_whole: nothing else is free to go; o_cut: others are due too; o_alone: the
-- event of a record that travels alone, and then is the only one; o_repeated: the oldest events are to be looked at for such as are superseded: most of a look at 4,000 are of a few
-- records, or there is a question, or a batch of an earlier courier that nobody has acknowledged. No event below p_first_id, or in p_left, waits for its first batch. p_aside: entities that wait.
create or replace function rowferry._choose_records(
  p_peer text,
  p_limit integer,
  p_alone boolean,
  p_first_id bigint,
  p_left int8multirange,
  p_aside integer[]
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
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
set enable_sort = off  -- grouping by hash keeps the order of events
as $$
declare
  c_looked constant integer := 4000;
  c_circle constant integer := 2000;  -- so many rows that want each other's unique values travel together
  v_now timestamptz := rowferry._now();
  v_mine integer[] := array(
    select e.id from rowferry.entities e where e.peer = p_peer and rowferry._is_free(e) and e.id <> all (p_aside));
  v_flying int8multirange;
  v_resent boolean;
  v_held boolean := exists (select from rowferry.held_events);
  v_alone bigint;
  v_gaps int8multirange;
  v_most integer;
  v_trees integer[];  -- entities whose rows may refer to each other
begin
  select coalesce(range_agg(r) filter (where b.in_flight), '{}'), coalesce(bool_or(not b.in_flight), false) into v_flying, v_resent
  from rowferry.built_batches b cross join lateral unnest(b.ids) r
  where b.peer = p_peer;
  v_gaps := int8multirange(int8range(p_first_id, 9223372036854775807)) - p_left - v_flying;
  v_most := p_limit + 1;
  if not v_held then
    -- The common case.
    return query
    select f.entity_id, false, f.keys, f.found <= p_limit, false, null::bigint, f.repeated or f.questions or v_resent
    from rowferry._fresh_records(v_mine, v_gaps, v_held, p_limit, v_most, c_looked) f
    order by f.entity_id;
    return;
  end if;
  -- A row that is large, or ran out of time, goes alone in a call that may take longer; others go between two of them.
  v_alone := (select a.o_event_id from rowferry._alone(p_peer) a where p_alone and a.o_allowed and not a.o_flying);
  if v_alone is not null then
    v_most := 0;
  end if;
  v_trees := array(
    select n.id from rowferry.entities n join pg_constraint f on f.contype = 'f' and f.conrelid = n.relation and f.confrelid = n.relation where n.id = any (v_mine));

  return query
  with recursive fresh as materialized (
    select f.* from rowferry._fresh_records(v_mine, v_gaps, v_held, p_limit, v_most, c_looked) f
  ), counted (found, repeated, resent) as materialized (
    select coalesce(max(f.found), 0), coalesce(bool_or(f.repeated), false), coalesce(bool_or(f.questions), false) or v_resent
    from fresh f
  ), followers as materialized (
    -- Their parent has gone, so they are as good as any that was never refused.
    select f.entity_id, f.record_id, row_number() over (order by f.event_id) as place
    from rowferry.missing_parents m
    cross join lateral (
      select h.event_id, h.entity_id, h.record_id
      from rowferry.held_events h
      cross join lateral (select q.record_skipped from rowferry._queue q where q.id = h.event_id offset 0) q
      where h.parent_entity_id = m.entity_id and rowferry._index_key(h.parent_record_id) = rowferry._index_key(m.record_id) and h.parent_record_id is not null
        and h.not_before is null and h.entity_id = any (v_mine) and not h.event_id <@ v_flying
        and not q.record_skipped
      order by h.event_id + 0
      limit p_limit + 1
    ) f
    where m.came and v_alone is null and (p_limit >= 4 or (select c.found = 0 from counted c))
    order by f.event_id
    limit p_limit + 1
  ), share (records) as (
    -- A bad row costs as much as many good ones: few of them while there is a backlog.
    select case when p_limit >= 4 or v_alone is not null or c.found = 0 and not exists (select from followers)
      then greatest(1, p_limit / case when c.found > p_limit then 32 else 4 end) else 0 end
    from counted c
  ), due as materialized (
    select e.entity_id, e.record_id, row_number() over (order by h.not_before, h.event_id + 0) as place,
      h.holders is not null and h.attempts = 1 and h.first_at > v_now - interval '10 s' as is_new
    from rowferry.held_events h
    cross join lateral (select q.id, q.entity_id, q.record_id, q.record_skipped from rowferry._queue q where q.id = h.event_id offset 0) e
    where h.not_before <= v_now and e.entity_id = any (v_mine) and not e.id <@ v_flying
      and case when v_alone is null then h.patience is null else h.event_id = v_alone end
      and not e.record_skipped
    order by h.not_before, h.event_id + 0
    limit (select records + 1 from share)
  ), chosen as materialized (
    select d.entity_id, d.record_id, d.is_new from due d where d.place <= (select records from share)
  ), wanted (entity_id, record_id, flies) as (
    -- What holds a unique value that one of these wants, and is to change too, and what it wants itself: of a circle no row can go without the others.
    select c.entity_id, c.record_id, false from chosen c
    union
    select w.entity_id, k.record_id, e.flies
    from wanted w
    cross join lateral (
      select h.holders from rowferry.held_events h where h.entity_id = w.entity_id and rowferry._index_key(h.record_id) = rowferry._index_key(w.record_id) and h.holders is not null offset 0) h
    cross join lateral unnest(h.holders) k (record_id)
    cross join lateral (
      select bool_or(v.id <@ v_flying) as flies, bool_or(v.alone or v.record_skipped) as stays
      from (
        select x.id, x.alone, x.record_skipped
        from rowferry._queue x
        where x.entity_id = w.entity_id and rowferry._index_key(x.record_id) = rowferry._index_key(k.record_id)
        limit 1000) v) e
    where v_alone is null and not w.flies and e.flies is not null and not e.stays
  ), circles as materialized (
    select w.entity_id, w.record_id, w.flies from wanted w limit c_circle + 1
  ), along as materialized (
    -- More than these cannot go.
    select c.entity_id, c.record_id
    from circles c
    where not c.flies and (select count(*) from circles) <= c_circle and (c.entity_id, c.record_id) not in (select o.entity_id, o.record_id from chosen o)
  ), retried as (
    -- Rows that may refer to each other, or want each other's unique values, stay together.
    select r.entity_id, r.together, array_agg(r.record_id) as keys
    from (
      select d.entity_id, d.record_id, bool_or(d.follows or d.entity_id = any (v_trees)) as together
      from (
        select w.entity_id, w.record_id, true as follows from followers w where w.place <= p_limit
        union all
        -- One that was refused just now waits for the answer about what it wants: two halves of a circle, each in a batch of its own, would miss each other again and again.
        select c.entity_id, c.record_id, c.entity_id in (select a.entity_id from along a)
        from chosen c
        where not (c.is_new and c.entity_id in (select f.entity_id from circles f where f.flies))
        union all
        select a.entity_id, a.record_id, true from along a where exists (select from chosen c where c.entity_id = a.entity_id and not (c.is_new and c.entity_id in (select f.entity_id from circles f where f.flies)))
      ) d
      group by d.entity_id, d.record_id
    ) r
    where (r.entity_id, r.record_id) not in (
      select f.entity_id, k from fresh f cross join lateral unnest(f.held) k
      intersect
      select f.entity_id, k from fresh f cross join lateral unnest(f.keys) k)
    group by r.entity_id, r.together
  )
  select g.entity_id, g.again, g.keys, c.found <= p_limit and v_alone is null,
    (select count(*) from due) > (select records from share) or (select count(*) from followers) > p_limit, v_alone,
    c.repeated or c.resent
  from (
    select coalesce(f.entity_id, r.entity_id) as entity_id, false as again, f.keys || r.keys as keys
    from fresh f
    full join (select r.* from retried r where r.together) r on r.entity_id = f.entity_id
    union all
    select r.entity_id, true, r.keys from retried r where not r.together
  ) g
  cross join counted c
  order by g.again, g.entity_id;
end
$$;
comment on function rowferry._choose_records(text, integer, boolean, bigint, int8multirange, integer[]) is 'The records of the next batch for a peer.';
