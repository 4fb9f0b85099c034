create or replace function rowferry._stuck_records(
  p_peer text
)
returns setof rowferry._cause
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  -- A row that waits for its parent gets no line: the parent gets one.
  with roots as materialized (
    select e as entity, e.name, r.*,
      not exists (select from rowferry.events v where v.entity_id = r.o_entity_id
        and rowferry._index_key(v.record_id) = rowferry._index_key(r.o_record_id)) as nothing_waits
    from rowferry._roots(p_peer) r
    join rowferry.entities e on e.id = r.o_entity_id
  ), refused as (
    select e.name, c.sqlstate, c.here, sum(c.events) as events, count(*) as records, min(c.since) as since, min(c.id) as id,
      (array_agg(c.record_id order by c.id))[1] as record_id,
      (array_agg(c.error order by c.id))[1] as error, (array_agg(c.advice order by c.id))[1] as advice, sum(r.o_others) as others
    from (
      select h.entity_id, h.record_id, h.sqlstate, h.here, count(*) as events, min(h.first_at) as since, min(h.event_id) as id, min(h.last_error) as error,
        min(h.hint) filter (where h.advised) as advice
      from rowferry.held_events h
      where h.attempts > 0 and h.parent_record_id is null
      group by h.entity_id, h.record_id, h.sqlstate, h.here
    ) c
    join rowferry.entities e on e.id = c.entity_id and e.peer = p_peer and e.held_attempts = 0
    left join roots r on r.o_entity_id = c.entity_id and r.o_record_id = c.record_id
    group by e.name, c.sqlstate, c.here, c.advice is null
    order by coalesce(sum(r.o_others), 0) + sum(c.events) desc
    limit 5
  ), circle as (
    select count(*) as records, string_agg(distinct r.name, ' and ') as names, min(c.since) as since, (array_agg(r.name order by c.id))[1] as name,
      (array_agg(r.o_record_id order by c.id))[1] as record_id, (array_agg(c.error order by c.id))[1] as error, sum(r.o_others) as others
    from roots r
    cross join lateral (
      select min(h.first_at) as since, min(h.event_id) as id, min(h.last_error) as error
      from rowferry.held_events h
      where h.entity_id = r.o_entity_id and rowferry._index_key(h.record_id) = rowferry._index_key(r.o_record_id)
    ) c
    where r.o_circle
  ), parents as (
    -- Parents that the peer has deleted, or that it lacks although no change of them waits here.
    select r.o_deleted as deleted, (array_agg(r.entity))[1] as entity, r.name, count(*) as records, min(r.o_record_id) as record_id, sum(r.o_others) as others
    from roots r
    where not r.o_circle and r.nothing_waits
      and (r.o_deleted or not exists (select from rowferry.backfills b where b.entity_id = r.o_entity_id and b.finished_at is null))
    group by r.o_deleted, r.o_entity_id, r.name
  )
  select 'warning', format('%s %s %s: %s (%s)', g.events, case when g.events = 1 then 'event' else 'events' end,
        case when g.here then 'cannot leave this node' when g.events = 1 then 'is refused by ' || p_peer else 'are refused by ' || p_peer end, g.error,
          g.sqlstate)
      || rowferry._others_wait(g.others, g.records),
    g.since, format('entity %s, record %s', g.name, g.record_id),
    coalesce(replace(g.advice, 'rowferry.skip(id, ', format('rowferry.skip(%s, ', g.id)),
      format('select * from rowferry.retry(%s);  -- once %s', case g.records when 1 then g.id::text else quote_literal(g.name) end,
        case when g.sqlstate in ('23505', '23P01') and not g.here then 'one of the two rows has another value' else 'the cause is mended' end))
  from refused g
  union all
  select 'warning', format('%s records of %s refer to each other, and %s takes none of them without the other: %s', g.records, g.names, p_peer, g.error)
      || rowferry._others_wait(g.others, g.records),
    g.since, format('entity %s, record %s', g.name, g.record_id),
    format('-- on %s: make each foreign key between them deferrable, then call attach() for one of the tables. Then here: '
      || 'select * from rowferry.retry(%L);', p_peer, g.name)
  from circle g
  where g.records > 0
  union all
  select 'warning', format(case g.records
        when 1 then '%1$s %2$s was deleted on %4$s, and rows here that refer to it were made or changed in the meantime: '
        else '%3$s records of %1$s were deleted on %4$s, the first is %2$s, and rows here that refer to them were made or changed in the meantime: ' end
      || 'the delete and these rows exclude each other, so all of them wait', g.name, g.record_id, g.records, p_peer)
      || rowferry._others_wait(g.others, g.records),
    null, format('entity %s, record %s', g.name, g.record_id),
    format('select * from rowferry.why_stuck();  -- on %s, and type what it says there to keep %s %s; or give up here what refers to it: %s', p_peer,
      g.name, g.record_id, rowferry._delete_children_sql(g.entity, g.record_id))
  from parents g
  where g.deleted
  union all
  select 'warning', format(case g.records when 1 then '%s record of %s is missing on %s, and nothing of it waits here'
      else '%s records of %s are missing on %s, and nothing of them waits here' end, g.records, g.name, p_peer) || rowferry._others_wait(g.others, g.records),
    null, format('entity %s, record %s', g.name, g.record_id),
    case when s.reason is not null then format('select rowferry.row_status(%L, %L);  -- its change was given up here (%s): change the row so that %s takes it, or '
        'give up what waits for it', g.name, g.record_id, s.reason, p_peer)
      when g.records = 1 then format('select * from rowferry.replay(%L, %L);', g.name, g.record_id)
      else format('select * from rowferry.backfill(%L);', g.name) end
  from parents g
  left join lateral (
    -- A line break would end the comment that begins with the two dashes.
    select translate(k.reason, E'\n\r', '  ') as reason
    from rowferry.skips k
    where k.entity_id = (g.entity).id and rowferry._index_key(k.record_id) = rowferry._index_key(g.record_id) and k.ended_at is null and k.kept
    limit 1) s on true
  where not g.deleted
  union all
  select 'warning', format('%s %s: %s', count(*), case count(*) when 1 then 'event waits' else 'events wait' end, h.last_error), min(h.first_at),
    format('entity %s, record %s', e.name, min(h.record_id)),
    coalesce(min(h.hint), format('select * from rowferry.why_stuck();  -- on %s, for who has locked it', p_peer))
  from rowferry.held_events h
  join rowferry.entities e on e.id = h.entity_id and e.peer = p_peer and e.held_attempts = 0
  where h.attempts = 0 and h.patience is null and h.parent_record_id is null and h.first_at < rowferry._now() - interval '10 s'
  group by e.name, h.last_error;
end
$$;
comment on function rowferry._stuck_records(text) is
  'For why_stuck(): rows that the peer refuses, that cannot leave this node, or for whose parent others wait.';
