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
  v_refusals jsonb;
begin
  -- An entity that was held as a whole, and of which this batch had rows, is free again, unless the peer has refused it as a whole again.
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
  -- Which records travel alone, or are held here, is for this node to say, not for the peer.
  perform rowferry._hold_entities((select jsonb_agg(r - 'here' - 'patience') from jsonb_array_elements(p_refusals) r));
  v_refusals := rowferry._with_companions(p_batch, p_refusals);
  if rowferry._any_skip() then
    -- A backfill or replay() sent again what was given up and stays here on purpose, and the peer refused it again: one skip is enough.
    perform rowferry._delete_events((
      select range_agg(int8range(e.id, e.id, '[]'))
      from jsonb_array_elements(v_refusals) r (refusal)
      join rowferry.entities n on n.name = r.refusal ->> 'entity'
      join rowferry.skips s on s.entity_id = n.id and rowferry._index_key(s.record_id) = rowferry._index_key(r.refusal ->> 'record_id')
        and s.ended_at is null and s.kept
      cross join lateral rowferry._events_of_record(n.id, s.record_id) e
      where e.id <@ p_batch.ids and e.event_type = 'b' and r.refusal ? 'sqlstate' and not r.refusal ? 'give_up'
        and (p_hold_lacking or (r.refusal -> 'stays')::boolean)));
  end if;
  with noted as (
    insert into rowferry.held_events as h (event_id, entity_id, record_id, attempts, not_before, sqlstate, last_error, hint, advised, first_at, last_at,
      parent_entity_id, parent_record_id, holders)
    select distinct on (e.id) e.id, e.entity_id, e.record_id, case when r.refusal ? 'sqlstate' then 1 else 0 end,
      case when not r.refusal ? 'parent_id' then v_now + case
        when not r.refusal ? 'sqlstate' then interval '0.25 s'
        when (r.refusal -> 'with_holders')::boolean then interval '0'
        else interval '1 s' end end,
      coalesce(r.refusal ->> 'sqlstate', case when r.refusal ? 'waiting' then 'RF023' else '55P03' end),
      coalesce(left(r.refusal ->> 'message', 10000) || coalesce(' ' || d.o_cause, ''),
        case when r.refusal ? 'waiting' then 'this node is to merge both rows, and the row of the other node has not come'
          else 'the row is locked on the other node' end),
      case
        when (r.refusal -> 'parent_deleted')::boolean and r.refusal ? 'parent_id' then
          format('Its parent was deleted on %s: select * from rowferry.why_stuck();', p_batch.peer)
        when r.refusal ? 'parent_id' then format('You need do nothing: the row goes once its parent has gone. '
            'This shows where the parent stands: select * from rowferry.row_status(%L, %L);',
          r.refusal #>> '{parent,entity}', r.refusal #>> '{parent,record_id}')
        else coalesce(d.o_next, left(r.refusal ->> 'hint', 10000),
          case when r.refusal ? 'waiting' then 'Look on the other node why its change is held: select * from rowferry.sync_events;' end) end,
      d.o_next is not null or coalesce((r.refusal -> 'advised')::boolean, false),
      v_now, v_now, (r.refusal ->> 'parent_id')::integer, case when r.refusal ? 'parent_id' then r.refusal #>> '{parent,record_id}' end,
      case when r.refusal ? 'holders' then array(select jsonb_array_elements_text(r.refusal -> 'holders')) end
    from jsonb_array_elements(v_refusals) r (refusal)
    join rowferry.entities n on n.name = r.refusal ->> 'entity'
    cross join lateral rowferry._events_of_record(n.id, r.refusal ->> 'record_id') e
    left join lateral rowferry._refers_to_deleted(n, e.record_id, e.id, r.refusal -> 'refers') d on r.refusal ? 'refers'
    where e.id <@ p_batch.ids and not r.refusal ? 'give_up' and (p_hold_lacking or (r.refusal -> 'stays')::boolean)
    on conflict (event_id) do update
    set attempts = h.attempts + case when excluded.sqlstate = 'RF023' and h.first_at < v_now - interval '10 s' then 1 else excluded.attempts end,
      not_before = case
        when excluded.parent_record_id is not null then null
        when h.not_before > p_batch.built_at and h.not_before <= v_now then h.not_before  -- somebody has asked for it since
        else v_now + greatest(least(coalesce(h.patience, 1) * interval '0.25 s', interval '5 s'),  -- a large row costs more; run --once waits for it
          case when excluded.attempts > 0 or excluded.sqlstate = 'RF023' and h.first_at < v_now - interval '10 s'
            then rowferry._back_off(h.attempts) end) end,
      sqlstate = excluded.sqlstate, last_error = excluded.last_error, hint = excluded.hint, advised = excluded.advised, last_at = v_now, here = false,
      parent_entity_id = excluded.parent_entity_id, parent_record_id = excluded.parent_record_id, holders = excluded.holders
    returning h.parent_entity_id, h.parent_record_id
  )
  insert into rowferry.missing_parents as m (entity_id, record_id, not_before, deleted)
  select n.parent_entity_id, n.parent_record_id, v_now + interval '8 s', (n.parent_entity_id, n.parent_record_id) in (
    select (r ->> 'parent_id')::integer, r #>> '{parent,record_id}'
    from jsonb_array_elements(v_refusals) r
    where (r -> 'parent_deleted')::boolean and r ? 'parent_id')
  from (select distinct n.parent_entity_id, n.parent_record_id from noted n where n.parent_record_id is not null) n
  on conflict (entity_id, rowferry._index_key(record_id)) do update set came = false, deleted = excluded.deleted where m.came or m.deleted <> excluded.deleted;
  perform rowferry._give_up_orphans(p_batch, p_refusals);
  return exists (select from jsonb_array_elements(v_refusals) r where r ? 'sqlstate' and not r ? 'give_up' and not (r -> 'stays')::boolean);
end
$$;
comment on function rowferry._hold_refused(rowferry.built_batches, jsonb, boolean) is
  'Holds the events of records that the peer refused: for 1 s, then 2 s, 4 s and so on up to 300 s. A record whose row was locked there, or that waits for '
  'its merge, is held for a moment, and this does not count as a try (a merge that takes more than ten seconds does). A record whose parent the peer lacks '
  'waits for this parent, unless the parent is sent with the next batch. It returns whether some record was not held, because it was refused for lack of a '
  'row that the next batch may bring; that batch is then larger. With p_hold_lacking such records are held too, because the batch had everything that is '
  'pending, or has grown in vain.';
