-- Holds the events of records that the peer refused, twice as long each time, up to five minutes; a record that was only locked there, or waits for
-- its merge, waits a moment, uncounted (but ten seconds are too long for a merge). A record whose parent the peer lacks, and that does not come with the next batch, waits for that parent. Returns whether
-- another record was refused for want of one: held only with p_hold_lacking, when the batch was everything
-- that is pending or has grown in vain; before that the next batch grows and brings the other. What the peer's orphan rule refuses is given up.
create or replace function rowferry._hold_refused(
  p_batch rowferry.built_batches,
  p_refusals jsonb,
  p_hold_lacking boolean
)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  v_now timestamptz := rowferry._now();
  v_parent_ids integer[];
  v_parent_records text[];
  v_refusals jsonb := p_refusals;
begin
  -- An entity as a whole: its schema differs there. One of its batches is tried now and then, its other events wait.
  if exists (select from rowferry.entities n where n.held_attempts > 0) then
    update rowferry.entities n
    set held_attempts = 0, held_here = false, held_until = null, held_sqlstate = null, held_error = null, held_hint = null
    where n.held_attempts > 0 and n.held_until < 'infinity'
      and n.name not in (select r ->> 'entity' from jsonb_array_elements(p_refusals) r where not r ? 'record_id')
      and exists (select from unnest(p_batch.ids) i join rowferry.events e on e.id >= lower(i) and e.id < upper(i) where e.entity_id = n.id);
  end if;
  if p_refusals = '[]' then
    return false;
  end if;
  -- Which of this node's records travel alone is for this node to say.
  perform rowferry._hold_entities((select jsonb_agg(r - 'here' - 'patience') from jsonb_array_elements(p_refusals) r));
  -- The parents that the peer lacks. One that is in this batch has failed there or was not tried; one that may go and is not in it comes with the next.
  select array_agg(n.id), array_agg(p.record_id) into v_parent_ids, v_parent_records
  from (
    select distinct r #>> '{parent,entity}' as entity, r #>> '{parent,record_id}' as record_id
    from jsonb_array_elements(p_refusals) r
    where r ? 'parent'
  ) p
  join rowferry.entities n on n.name = p.entity and n.peer = p_batch.peer;
  if v_parent_ids is not null then
    with parents as (
      select p.*, n.name, (p.entity_id, p.record_id) not in (
          select g.entity_id, g.record_id from rowferry._going(v_parent_ids, v_parent_records) g)
        or exists (select from rowferry.events e
          where e.entity_id = p.entity_id and rowferry._index_key(e.record_id) = rowferry._index_key(p.record_id) and e.id <@ p_batch.ids) as stays
      from unnest(v_parent_ids, v_parent_records) p (entity_id, record_id)
      join rowferry.entities n on n.id = p.entity_id
    ), known (by_record) as (
      select jsonb_object_agg(jsonb_build_object('entity', p.name, 'record_id', p.record_id)::text, jsonb_build_object('parent_id', p.entity_id, 'stays', p.stays)) from parents p
    )
    select jsonb_agg(r.refusal || coalesce(k.by_record -> (r.refusal ->> 'parent'), '{}') order by r.place) into v_refusals
    from jsonb_array_elements(p_refusals) with ordinality r (refusal, place)
    cross join known k;
  end if;
  -- A row that wants a unique value of one that is to change too is held at once, and goes with it: a batch that grows might miss it again and again, where that is in another one.
  if p_refusals @? '$[*].holders' then
    select jsonb_agg(r.refusal || case when exists (
        select from jsonb_array_elements_text(r.refusal -> 'holders') k (record_id)
        join rowferry.entities n on n.name = r.refusal ->> 'entity'
        cross join lateral (select from rowferry.events v where v.entity_id = n.id and rowferry._index_key(v.record_id) = rowferry._index_key(k.record_id) limit 1) v)
      then jsonb '{"stays": true}' else '{}' end order by r.place) into v_refusals
    from jsonb_array_elements(v_refusals) with ordinality r (refusal, place);
  end if;
  -- What was given up and stays here on purpose was sent again by a backfill or replay, and refused again: one skip is enough.
  if rowferry._any_skip() then
    perform rowferry._delete_events((
      select range_agg(int8range(e.id, e.id, '[]'))
      from jsonb_array_elements(v_refusals) r (refusal)
      join rowferry.entities n on n.name = r.refusal ->> 'entity'
      join rowferry.skips s on s.entity_id = n.id and rowferry._index_key(s.record_id) = rowferry._index_key(r.refusal ->> 'record_id') and s.ended_at is null and s.kept
      cross join lateral (select * from rowferry.events v where v.entity_id = n.id and rowferry._index_key(v.record_id) = rowferry._index_key(s.record_id) offset 0) e
      where e.id <@ p_batch.ids and e.event_type = 'b' and r.refusal ? 'sqlstate' and not r.refusal ? 'give_up'
        and (p_hold_lacking or (r.refusal -> 'stays')::boolean or r.refusal ->> 'sqlstate' not in ('23503', '23505', '23P01'))));
  end if;
  with noted as (
    insert into rowferry.held_events as h (event_id, entity_id, record_id, attempts, not_before, sqlstate, last_error, hint, advised, first_at, last_at,
      parent_entity_id, parent_record_id, holders)
    select distinct on (e.id) e.id, e.entity_id, e.record_id, case when r.refusal ? 'sqlstate' then 1 else 0 end,
      case when not r.refusal ? 'parent_id' then v_now + case
        when not r.refusal ? 'sqlstate' then interval '0.25 s'
        when r.refusal ? 'holders' and r.refusal ? 'stays' then interval '0'
        else interval '1 s' end end,
      coalesce(r.refusal ->> 'sqlstate', case when r.refusal ? 'waiting' then 'RF023' else '55P03' end),
      coalesce(left(r.refusal ->> 'message', 10000) || coalesce(' ' || d.o_cause, ''), case when r.refusal ? 'waiting' then 'this node is to merge both rows, and the other one''s has not come'
        else 'the row is locked on the other node' end),
      case when (r.refusal -> 'parent_deleted')::boolean and r.refusal ? 'parent_id' then format('Its parent was deleted on %s: select * from rowferry.why_stuck();', p_batch.peer)
        when r.refusal ? 'parent_id' then format('Nothing, it goes after its parent: select * from rowferry.row_status(%L, %L);',
          r.refusal #>> '{parent,entity}', r.refusal #>> '{parent,record_id}')
        else coalesce(d.o_next, left(r.refusal ->> 'hint', 10000), case when r.refusal ? 'waiting' then 'Look there why its change is held: select * from rowferry.sync_events;' end) end,
      d.o_next is not null or coalesce((r.refusal -> 'advised')::boolean, false),
      v_now, v_now, (r.refusal ->> 'parent_id')::integer, case when r.refusal ? 'parent_id' then r.refusal #>> '{parent,record_id}' end,
      case when r.refusal ? 'holders' then array(select jsonb_array_elements_text(r.refusal -> 'holders')) end
    from jsonb_array_elements(v_refusals) r (refusal)
    join rowferry.entities n on n.name = r.refusal ->> 'entity'
    cross join lateral (select * from rowferry.events v where v.entity_id = n.id and rowferry._index_key(v.record_id) = rowferry._index_key(r.refusal ->> 'record_id') offset 0) e
    left join lateral rowferry._refers_to_deleted(n, e.record_id, e.id, r.refusal -> 'refers') d on r.refusal ? 'refers'
    where e.id <@ p_batch.ids and not r.refusal ? 'give_up'
      and (p_hold_lacking or (r.refusal -> 'stays')::boolean or coalesce(r.refusal ->> 'sqlstate', '') not in ('23503', '23505', '23P01'))
    on conflict (event_id) do update
    set attempts = h.attempts + case when excluded.sqlstate = 'RF023' and h.first_at < v_now - interval '10 s' then 1 else excluded.attempts end,
      not_before = case
        when excluded.parent_record_id is not null then null
        when h.not_before > p_batch.built_at and h.not_before <= v_now then h.not_before  -- it was asked for again since
        else v_now + greatest(least(coalesce(h.patience, 1) * interval '0.25 s', interval '5 s'),  -- a large row costs more; run --once waits for it
          case when excluded.attempts > 0 or excluded.sqlstate = 'RF023' and h.first_at < v_now - interval '10 s'
            then least(power(2, least(h.attempts, 10)), 300) * interval '1 s' end) end,
      sqlstate = excluded.sqlstate, last_error = excluded.last_error, hint = excluded.hint, advised = excluded.advised, last_at = v_now, here = false,
      parent_entity_id = excluded.parent_entity_id, parent_record_id = excluded.parent_record_id, holders = excluded.holders
    returning h.parent_entity_id, h.parent_record_id
  )
  insert into rowferry.missing_parents as m (entity_id, record_id, not_before, deleted)
  select distinct n.parent_entity_id, n.parent_record_id, v_now + interval '8 s', d.parent is not null
  from noted n
  left join (
    select distinct (r ->> 'parent_id')::integer as parent_id, r #>> '{parent,record_id}' as parent from jsonb_array_elements(v_refusals) r where (r -> 'parent_deleted')::boolean
  ) d on d.parent_id = n.parent_entity_id and d.parent = n.parent_record_id
  where n.parent_record_id is not null
  on conflict (entity_id, rowferry._index_key(record_id)) do update set came = false, deleted = excluded.deleted where m.came or m.deleted <> excluded.deleted;
  -- The orphan rule: as a skip, unless the record has changed since.
  with given_up as (
    select n.id as entity_id, n.name, e.record_id, range_agg(int8range(e.id, e.id, '[]')) as ids, r.refusal ->> 'give_up' as rule, min(r.refusal ->> 'message') as message
    from jsonb_array_elements(p_refusals) r (refusal)
    join rowferry.entities n on n.name = r.refusal ->> 'entity'
    cross join lateral (select * from rowferry.events v where v.entity_id = n.id and rowferry._index_key(v.record_id) = rowferry._index_key(r.refusal ->> 'record_id') offset 0) e
    where e.event_type <> 'q' and r.refusal ? 'give_up' and not exists (select from rowferry.skips s
      where s.done_at is null and s.entity_id = e.entity_id and rowferry._index_key(s.record_id) = rowferry._index_key(e.record_id) and e.id <@ s.ids)
    group by n.id, n.name, e.record_id, r.refusal ->> 'give_up'
    having bool_and(e.id <@ p_batch.ids)
  ), ended as (
    -- As _end_skips(), which would see what is inserted here.
    update rowferry.skips s
    set ended_at = v_now, kept = false, outcome = concat_ws('; then ', s.outcome, 'given up by the orphan rule')
    from given_up g
    where s.entity_id = g.entity_id and rowferry._index_key(s.record_id) = rowferry._index_key(g.record_id) and s.ended_at is null
  )
  insert into rowferry.skips (peer, entity_id, entity, record_id, ids, reason, last_error, requested_at, requested_by, may_delete)
  select p_batch.peer, g.entity_id, g.name, g.record_id, g.ids, case g.rule when 'drop' then 'its parent was deleted on ' else 'a row refers to it on ' end || p_batch.peer,
    g.message, v_now, 'orphan rule ' || g.rule, true
  from given_up g;
  return exists (select from jsonb_array_elements(v_refusals) r
    where r ->> 'sqlstate' in ('23503', '23505', '23P01') and not r ? 'give_up' and (r -> 'stays')::boolean is not true);
end
$$;
comment on function rowferry._hold_refused(rowferry.built_batches, jsonb, boolean) is 'Holds the events of records that the peer refused.';
