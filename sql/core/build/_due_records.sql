create or replace function rowferry._due_records(
  p_entity_ids integer[],
  p_flying int8multirange,
  p_limit integer,
  p_found bigint,
  p_alone bigint,
  out o_entity_ids integer[],
  out o_record_ids text[],
  out o_together boolean[],
  out o_cut boolean
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_sort = off  -- by the index, in its order
as $$
declare
  c_circle constant integer := 2000;  -- at most this many rows that need each other's unique values travel together
  v_now constant timestamptz := rowferry._now();
  v_trees constant integer[] := array(  -- entities whose rows may refer to each other
    select n.id from rowferry.entities n join pg_constraint f on f.contype = 'f' and f.conrelid = n.relation and f.confrelid = n.relation
    where n.id = any (p_entity_ids));
begin
  with recursive followers as materialized (
    -- The peer has their parent now, so these rows are as good as any that was never refused.
    select f.entity_id, f.record_id, row_number() over (order by f.event_id) as place
    from rowferry.missing_parents m
    cross join lateral (
      select h.event_id, h.entity_id, h.record_id
      from rowferry.held_events h
      cross join lateral (select q.record_skipped from rowferry._queue q where q.id = h.event_id offset 0) q
      where h.parent_entity_id = m.entity_id and rowferry._index_key(h.parent_record_id) = rowferry._index_key(m.record_id)
        and h.parent_record_id is not null and h.not_before is null and h.entity_id = any (p_entity_ids) and not h.event_id <@ p_flying
        and not q.record_skipped
      order by h.event_id + 0
      limit p_limit + 1
    ) f
    where m.came and p_alone is null and (p_limit >= 4 or p_found = 0)
    order by f.event_id
    limit p_limit + 1
  ), share (records) as (
    -- A row that was refused costs as much as many good ones. So only a few of them go while there is a backlog.
    select case when p_limit >= 4 or p_alone is not null or p_found = 0 and not exists (select from followers)
      then greatest(1, p_limit / case when p_found > p_limit then 32 else 4 end) else 0 end
  ), due as materialized (
    select e.entity_id, e.record_id, row_number() over (order by h.not_before, h.event_id + 0) as place,
      h.holders is not null and h.attempts = 1 and h.first_at > v_now - interval '10 s' as is_new
    from rowferry.held_events h
    cross join lateral (
      select q.id, q.entity_id, q.record_id, q.record_skipped from rowferry._queue q where q.id = h.event_id offset 0) e
    where h.not_before <= v_now and e.entity_id = any (p_entity_ids) and not e.id <@ p_flying
      and case when p_alone is null then h.patience is null else h.event_id = p_alone end
      and not e.record_skipped
    order by h.not_before, h.event_id + 0
    limit (select records + 1 from share)
  ), chosen as materialized (
    select d.entity_id, d.record_id, d.is_new from due d where d.place <= (select records from share)
  ), wanted (entity_id, record_id, flies) as (
    -- One of these may need a unique value that another row holds. If that row is to change too, it is sent as well, and so is the row whose value it needs:
    -- of a circle no row can go without the others.
    select c.entity_id, c.record_id, false from chosen c
    union
    select w.entity_id, k.record_id, e.flies
    from wanted w
    cross join lateral (
      select h.holders from rowferry.held_events h
      where h.entity_id = w.entity_id and rowferry._index_key(h.record_id) = rowferry._index_key(w.record_id) and h.holders is not null offset 0) h
    cross join lateral unnest(h.holders) k (record_id)
    cross join lateral (
      select bool_or(v.id <@ p_flying) as flies, bool_or(v.alone or v.record_skipped) as stays
      from (
        select x.id, x.alone, x.record_skipped
        from rowferry._queue x
        where x.entity_id = w.entity_id and rowferry._index_key(x.record_id) = rowferry._index_key(k.record_id)
        limit 1000) v) e
    where p_alone is null and not w.flies and e.flies is not null and not e.stays
  ), circles as materialized (
    select w.entity_id, w.record_id, w.flies from wanted w limit c_circle + 1
  ), along as materialized (
    -- A larger circle cannot go.
    select c.entity_id, c.record_id
    from circles c
    where not c.flies and (select count(*) from circles) <= c_circle and (c.entity_id, c.record_id) not in (select o.entity_id, o.record_id from chosen o)
  ), going as materialized (
    -- A row that was refused just now waits while the row that it needs is in flight: two halves of a circle in two batches would miss each other again and
    -- again.
    select c.entity_id, c.record_id from chosen c where not (c.is_new and c.entity_id in (select f.entity_id from circles f where f.flies))
  )
  -- Rows that may refer to each other, or need each other's unique values, stay together.
  select array_agg(r.entity_id), array_agg(r.record_id), array_agg(r.together),
    (select count(*) from due) > (select records from share) or (select count(*) from followers) > p_limit
  into o_entity_ids, o_record_ids, o_together, o_cut
  from (
    select d.entity_id, d.record_id, bool_or(d.follows or d.entity_id = any (v_trees)) as together
    from (
      select w.entity_id, w.record_id, true as follows from followers w where w.place <= p_limit
      union all
      select g.entity_id, g.record_id, g.entity_id in (select a.entity_id from along a) from going g
      union all
      select a.entity_id, a.record_id, true from along a where a.entity_id in (select g.entity_id from going g)
    ) d
    group by d.entity_id, d.record_id
  ) r;
end
$$;
comment on function rowferry._due_records(integer[], int8multirange, integer, bigint, bigint) is
  'Records with held events that may be sent with the next batch, of the entities p_entity_ids: those whose parent has been taken, a share of those that '
  'were refused and may be tried again now, and the records that hold unique values which these need. p_alone asks for the record of this event only, which '
  'travels alone. p_flying has the events in flight, and p_found is the number of events that wait and are not held. o_together says whether a record is '
  'sent in one section with others of its entity. o_cut says that more records may be sent than these.';
