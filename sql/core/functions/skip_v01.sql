-- Gives a change up: all events of the record that are pending now become a question, once none of them is in flight, and the peer answers with its own row. Such an answer is given up without.
create or replace function rowferry.skip(
  p_id bigint,
  p_reason text default null
)
returns table (
  entity text,
  record_id text,
  events bigint,
  state text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_event rowferry.events;
  v_entity rowferry.entities;
  v_ids int8multirange;
  v_error text;
  v_image jsonb;
  v_answer boolean;
  v_state text;
  v_context text;
begin
  select e.* into v_event from rowferry.events e where e.id = p_id;
  if not found then
    raise exception using errcode = 'RF008', message = 'no such event is pending', detail = format('Event %s.', p_id),
      hint = 'It may have been delivered: select * from rowferry.sync_events order by id limit 20;';
  end if;
  select e.* into v_entity from rowferry.entities e where e.id = v_event.entity_id;
  select range_agg(int8range(e.id, e.id, '[]')), count(*), max(h.last_error), bool_and(e.event_type = 'a') into v_ids, events, v_error, v_answer
  from rowferry.events e
  left join rowferry.held_events h on h.event_id = e.id
  where e.entity_id = v_event.entity_id and rowferry._index_key(e.record_id) = rowferry._index_key(v_event.record_id) and e.event_type <> 'q'
    and not exists (select from rowferry.skips s where s.done_at is null and s.entity_id = e.entity_id and rowferry._index_key(s.record_id) = rowferry._index_key(e.record_id) and e.id <@ s.ids);
  entity := v_entity.name;
  record_id := v_event.record_id;
  if v_ids is null then
    state := 'given up already; the answer of the other node is on its way';
  else
    begin
      v_image := (rowferry._present_row(v_entity, v_event.record_id)).o_row;
    exception
      -- A table that was altered or dropped: its changes can be given up all the same.
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context;
        if rowferry._is_transient(v_state, v_context) then
          raise;
        end if;
    end;
    insert into rowferry.skips (peer, entity_id, entity, record_id, ids, reason, last_error, requested_at, requested_by, image)
    values (v_entity.peer, v_entity.id, v_entity.name, v_event.record_id, v_ids, p_reason, v_error, rowferry._now(), session_user, v_image);
    state := format(case when v_answer then 'the answer is given up with the next exchange; %s keeps its row, which may differ: select * from rowferry.compare(%L);'
      when v_entity.direction = 'send' then 'given up with the next exchange; %s keeps its row'
      else 'given up; the row of %s comes in its place with the next exchange' end, v_entity.peer, v_entity.name);
  end if;
  return next;
end
$$;
comment on function rowferry.skip(bigint, text) is 'Gives a change up: the row of the other node comes in its place; if it has none, the row goes here too. Logged in rowferry.skips, with the row as it is here.';
revoke all on function rowferry.skip(bigint, text) from public;
