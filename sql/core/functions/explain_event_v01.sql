-- One pending event: where it comes from, what it would send now, how often it was tried, and all that it waits for.
create or replace function rowferry.explain_event(
  p_id bigint
)
returns table (
  id bigint,
  peer text,
  entity text,
  record_id text,
  event_type text,
  changed_at timestamptz,
  by_whom text,
  operation text,
  "row" jsonb,
  attempts integer,
  sqlstate text,
  last_error text,
  hint text,
  waits_for text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
#variable_conflict use_column
declare
  v_event record;
  v_entity rowferry.entities;
  v_link rowferry.links;
  v_held rowferry.held_events;
  v_skip rowferry.skips;
  v_batch rowferry.built_batches;
  v_row record;
  v_before bigint;
  v_waits text[] := '{}';
begin
  select e.*, e.xmin as transaction into v_event from rowferry.events e where e.id = p_id;
  if not found then
    select s.* into v_skip from rowferry.skips s where p_id <@ s.ids order by s.id desc limit 1;
    raise exception using errcode = 'RF008', message = 'no such event is pending',
      detail = case
        when v_skip.id is not null then format('Event %s was given up by %s at %s: %s.', p_id, v_skip.requested_by, v_skip.requested_at, coalesce(v_skip.reason, 'no reason given'))
        when p_id > (select pg_sequence_last_value('rowferry.events_id_seq')) then format('Event %s was never given out.', p_id)
        else format('Event %s has left: the other node has it, or a newer change of the record stood for it, or it lost a conflict, or its transaction was rolled back.', p_id) end,
      hint = 'select * from rowferry.row_status(entity, record_id); or select * from rowferry.sync_events order by id limit 20;';
  end if;
  select e.* into v_entity from rowferry.entities e where e.id = v_event.entity_id;
  select l.* into v_link from rowferry.links l where l.peer = v_entity.peer;
  select h.* into v_held from rowferry.held_events h where h.event_id = p_id;
  select s.* into v_skip from rowferry.skips s
  where s.entity_id = v_event.entity_id and s.record_id = v_event.record_id and (s.done_at is null or v_event.event_type = 'q') order by s.id desc limit 1;
  select b.* into v_batch from rowferry.built_batches b where b.peer = v_entity.peer and b.in_flight and p_id <@ b.ids order by b.number limit 1;
  id := p_id;
  peer := v_entity.peer;
  entity := v_entity.name;
  record_id := v_event.record_id;
  event_type := case v_event.event_type when 'i' then 'insert' when 'u' then 'update' when 'd' then 'delete' when 'b' then 'backfill' when 'a' then 'answer' else 'question' end;
  changed_at := v_event.changed_at;
  by_whom := case
    when v_event.event_type = 'q' then case when v_skip.done_at = v_event.changed_at then 'skipped by ' || v_skip.requested_by else 'a repair' end
    when v_event.event_type = 'a' then format('an answer to a question of %s', v_entity.peer)
    when v_event.event_type = 'b' then coalesce((select 'backfill for ' || b.requested_by from rowferry.backfills b
      where b.entity_id = v_event.entity_id and p_id between b.first_event_id and b.last_event_id), 'replay() or a repair')
    when v_event.hops > 0 then format('a cascade or trigger, while rows of %s were applied (hop %s)', v_entity.peer, v_event.hops)
    else 'a user of this node' end || format(', in transaction %s', v_event.transaction);
  begin
    v_row := rowferry._present_row(v_entity, v_event.record_id);
    "row" := v_row.o_row;
    operation := case when not exists (
        select from rowferry.events e where e.entity_id = v_event.entity_id and e.record_id = v_event.record_id and e.event_type <> 'q') then 'question'
      when v_row.o_row is null then 'gone' else 'upsert' end;
  exception
    when undefined_table or undefined_column or undefined_function then
      operation := 'none: its table cannot be read: ' || sqlerrm;
  end;
  attempts := greatest(v_held.attempts, v_entity.held_attempts);
  sqlstate := coalesce(v_entity.held_sqlstate, v_held.sqlstate);
  last_error := coalesce(v_entity.held_error, v_held.last_error);
  hint := coalesce(v_entity.held_hint, v_held.hint);

  if v_link.stopped_at is not null then
    v_waits := v_waits || format('the link, stopped since %s: %s', date_trunc('second', v_link.stopped_at), v_link.stopped_reason);
  end if;
  if v_link.paused_at is not null then
    v_waits := v_waits || format('the link, paused by %s: select * from rowferry.resume(%L);', v_link.paused_by, v_entity.peer);
  end if;
  if v_entity.paused_at is not null then
    v_waits := v_waits || format('its entity, paused by %s: select * from rowferry.resume(%L, %L);', v_entity.paused_by, v_entity.peer, v_entity.name);
  end if;
  if v_skip.id is not null and v_skip.done_at is null then
    v_waits := v_waits || format('being given up, as %s asked for', v_skip.requested_by);
  end if;
  if v_batch.tag is not null then
    v_waits := v_waits || format('the acknowledgement of batch %s, in flight since %s', v_batch.number, date_trunc('second', v_batch.built_at));
  end if;
  if v_entity.held_until = 'infinity' then
    if v_entity.paused_at is null then
      v_waits := v_waits || format('a person: %s. %s', v_entity.held_error, v_entity.held_hint);
    end if;
  elsif v_entity.held_attempts > 0 then
    v_waits := v_waits || format('its entity, held as a whole until %s: select * from rowferry.retry(%s);', date_trunc('second', v_entity.held_until), p_id);
  elsif v_held.not_before > rowferry._now() then
    v_waits := v_waits || format('its next try at %s: select * from rowferry.retry(%s);', date_trunc('second', v_held.not_before), p_id);
  end if;
  if v_held.sqlstate = '23503' and "row" is not null then
    v_waits := v_waits || array(
      select format('its parent %s %s, %s: select * from rowferry.explain_event(%s);', n.name, f.record_id, case when bool_or(h.attempts > 0) then 'which is held' else 'which waits too' end, min(e.id))
      from rowferry._parents(v_row.o_section) f
      join rowferry.entities n on n.id = f.entity_id
      join rowferry.events e on e.entity_id = f.entity_id and e.record_id = f.record_id
      left join rowferry.held_events h on h.event_id = e.id
      group by n.name, f.record_id);
  end if;
  if v_waits = '{}' then
    if rowferry._lock_holder(rowferry._courier_lock((select n.name from rowferry.node n), v_entity.peer)) is null then
      v_waits := v_waits || 'a courier, none is at work: rowferry run'::text;
    end if;
    v_before := (select count(*) from (select from rowferry.events e where e.id >= v_link.first_id and e.id < p_id limit 10000) e);
    v_waits := v_waits || format('its turn, with %s events before it', v_before::text || case when v_before = 10000 then ' or more' else '' end);
  end if;
  waits_for := array_to_string(v_waits, e'\n');
  return next;
end
$$;
comment on function rowferry.explain_event(bigint) is
  'One pending event: where it comes from, what it would send now, how often it was tried, and what it waits for. Events do not note their user, only the transaction.';
revoke all on function rowferry.explain_event(bigint) from public;
