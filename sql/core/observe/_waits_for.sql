create or replace function rowferry._waits_for(
  p_entity rowferry.entities,
  p_record_id text,
  p_event_id bigint
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link rowferry.links := (select l from rowferry.links l where l.peer = p_entity.peer);
  v_batch rowferry.built_batches;
  v_held rowferry.held_events;
  v_waits text[] := '{}';
  v_before bigint;
begin
  select b.* into v_batch from rowferry.built_batches b where b.peer = p_entity.peer and b.in_flight and p_event_id <@ b.ids order by b.number limit 1;
  select h.* into v_held from rowferry.held_events h
  where h.entity_id = p_entity.id and rowferry._index_key(h.record_id) = rowferry._index_key(p_record_id)
  order by h.not_before desc nulls last limit 1;
  if v_link.stopped_at is not null then
    v_waits := v_waits || format('the link, which is stopped since %s: %s', date_trunc('second', v_link.stopped_at), v_link.stopped_reason);
  end if;
  if v_link.paused_at is not null then
    v_waits := v_waits || format('the link, paused by %s: select * from rowferry.resume(%L);', v_link.paused_by, p_entity.peer);
  end if;
  if p_entity.paused_at is not null then
    v_waits := v_waits || format('its entity, paused by %s: select * from rowferry.resume(%L, %L);', p_entity.paused_by, p_entity.peer, p_entity.name);
  elsif p_entity.held_until = 'infinity' then
    v_waits := v_waits || format('a person: %s. %s', rtrim(p_entity.held_error, '.'), p_entity.held_hint);
  elsif p_entity.held_attempts > 0 then
    v_waits := v_waits
      || format('its entity, held as a whole until %s: select * from rowferry.retry(%L);', date_trunc('second', p_entity.held_until), p_entity.name);
  elsif v_held.attempts > 0 and v_held.parent_record_id is null then
    v_waits := v_waits || format('its next try%s, because %s: %s. The way out: select * from rowferry.why_stuck(); '
        || 'to try it now: select * from rowferry.retry(%s);',
      case when v_held.not_before > rowferry._now() then ' at ' || date_trunc('second', v_held.not_before) else '' end,
      case when v_held.here then 'it cannot leave this node' else p_entity.peer || ' refused it' end, rtrim(v_held.last_error, '.'), v_held.event_id);
  elsif v_held.not_before > rowferry._now() then
    v_waits := v_waits || format('its next try at %s: select * from rowferry.retry(%s);', date_trunc('second', v_held.not_before), v_held.event_id);
  end if;
  if v_batch.tag is not null then
    v_waits := v_waits || format('the acknowledgement of batch %s, in flight since %s', v_batch.number, date_trunc('second', v_batch.built_at));
  end if;
  if v_held.parent_record_id is not null then
    v_waits := v_waits || (
      select format('its parent %s %s, %s: select * from rowferry.row_status(%L, %L);', n.name, v_held.parent_record_id,
        case
          when count(e.id) = 0 then format('which %s lacks', p_entity.peer)
          when n.held_attempts > 0 or bool_or(h.event_id is not null) then 'which is held'
          else 'which waits too' end,
        n.name, v_held.parent_record_id)
      from rowferry.entities n
      left join rowferry.events e on e.entity_id = n.id and rowferry._index_key(e.record_id) = rowferry._index_key(v_held.parent_record_id)
      left join rowferry.held_events h on h.event_id = e.id
      where n.id = v_held.parent_entity_id
      group by n.id);
  end if;
  if v_waits = '{}' then
    if rowferry._courier_at_work((select n.name from rowferry.node n), p_entity.peer) is null then
      v_waits := v_waits || 'a worker, none is at work: rowferry run'::text;
    end if;
    v_before := (select count(*) from (select from rowferry.events e where e.id >= v_link.first_id and e.id < p_event_id
      and e.entity_id in (select n.id from rowferry.entities n where n.peer = p_entity.peer) limit 10000) e);
    v_waits := v_waits || format('its turn, with %s events before it', v_before::text || case when v_before = 10000 then ' or more' else '' end);
  end if;
  return array_to_string(v_waits, E'\n');
end
$$;
comment on function rowferry._waits_for(rowferry.entities, text, bigint) is
  'What the pending events of one record wait for: a line for each cause, with what to type. p_event_id is the oldest of these events.';
