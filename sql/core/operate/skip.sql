-- What skip() does: it gives up the changes of one record that wait here. It writes a line into rowferry.skips, with the row as it is here and the ids of all
-- its pending events. From then on these events put no record into a batch. Then:
-- 1. Once no batch with one of these events is in flight, the next exchange deletes them and puts a question to the peer (event type q) in their place
--    (build/_perform_skips.sql). If the entity only sends, if the row is outside of the filter here, or if the events were only an answer, nothing is asked and
--    both rows stay. If the peer has taken all of the events meanwhile, the skip ends.
-- 2. The peer answers with its own row, which is written here in place of the row here; a row that was deleted here comes back. skips.image keeps the row as it
--    was. A user's change that is made before the answer comes wins against the answer.
-- 3. If the peer has no such row, the row here stays, different on purpose (kept, conflict/_keep_given_up.sql), or is deleted if skip() was called with
--    p_delete.
-- How a skip ends, with an outcome:
-- - While it waits for the answer: when the answer, or another change of the peer, has been taken (queue/_skips_answered.sql); when the peer has acknowledged a
--   later change of the record by a user (queue/_skips_overtaken.sql); when the record is given up again (queue/_end_skips.sql); or when a repair chooses the
--   peer's row. If the peer has acknowledged a consequence, a backfill or an answer instead, the skip is kept from then on, or ends if p_delete was given.
-- - Once it is kept: when the record changes on either node, is sent again, is repaired, or is given up again.
-- - In any case with detach(). resync() keeps a skip that waits, or ends it if p_delete was given. If the peer gives its answer up, the skip waits until the
--   row changes on either node, or until replay() is called on the peer.
-- If nothing is left to give up, skip() only sets p_delete, on or off, for the skip that waits.
create or replace function rowferry.skip(
  p_id bigint,
  p_reason text default null,
  p_delete boolean default false
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
set quote_all_identifiers = off
as $$
#variable_conflict use_column
declare
  v_event rowferry.events;
  v_entity rowferry.entities;
  v_ids int8multirange;
  v_error text;
  v_image jsonb;
  v_there boolean := true;  -- whether there is a row here
  v_answer boolean;
  v_stays boolean;  -- whether the peer is not asked for its row
  v_state text;
  v_context text;
begin
  select e.* into v_event from rowferry.events e where e.id = p_id;
  if not found then
    raise exception using errcode = 'RF008', message = 'no such event is pending', detail = format('Event %s.', p_id),
      hint = coalesce((
          select format('It was given up, and row %s of %s stays here, different on purpose. To have it deleted too, delete it here; to send it, change it so '
            'that %s takes it.', s.record_id, s.entity, s.peer)
          from rowferry.skips s where s.ids @> p_id and s.ended_at is null and s.kept limit 1),
        'It may have been delivered, or have lost a conflict. This shows the events that wait: select * from rowferry.sync_events order by id limit 20;');
  end if;
  select e.* into v_entity from rowferry.entities e where e.id = v_event.entity_id;
  select range_agg(int8range(e.id, e.id, '[]')), count(*), max(h.last_error), bool_and(e.event_type = 'a') into v_ids, events, v_error, v_answer
  from rowferry._queue e
  left join rowferry.held_events h on h.event_id = e.id
  where e.entity_id = v_event.entity_id and rowferry._index_key(e.record_id) = rowferry._index_key(v_event.record_id) and e.event_type <> 'q' and not e.skipped;
  entity := v_entity.name;
  record_id := v_event.record_id;
  v_stays := v_answer or v_entity.direction = 'send' or rowferry._is_outside(v_entity, record_id);
  begin
    v_image := (rowferry._present_row(v_entity, v_event.record_id)).o_row;
    v_there := v_image is not null;
  exception
    -- The changes of a table that was altered or dropped can be given up too.
    when others or assert_failure then
      get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context;
      if rowferry._is_transient(v_state, v_context) then
        raise;
      end if;
  end;
  if v_ids is not null then
    perform rowferry._end_skips(v_entity.id, array[v_event.record_id], 'given up again');
    insert into rowferry.skips (peer, entity_id, entity, record_id, ids, reason, last_error, requested_at, requested_by, may_delete, image)
    values (v_entity.peer, v_entity.id, v_entity.name, v_event.record_id, v_ids, p_reason, v_error, rowferry._now(), session_user, p_delete, v_image);
  else
    update rowferry.skips s
    set may_delete = p_delete
    where s.entity_id = v_entity.id and rowferry._index_key(s.record_id) = rowferry._index_key(v_event.record_id) and s.ended_at is null and not s.kept;
  end if;
  state := case when v_ids is null then 'given up already; ' when v_answer then 'the answer is given up with the next exchange; '
      when v_stays then 'given up with the next exchange; ' else 'given up; ' end
    || format(case
        when v_stays then '%s keeps its row, and this node its own' || case when exists (
          select from rowferry.events e
          where e.entity_id = v_entity.id and rowferry._index_key(e.record_id) = rowferry._index_key(v_event.record_id) and e.event_type = 'w')
            and rowferry._is_followed(v_entity) then '; the same goes for the rows that follow it' else '' end
        when not v_there then 'this node will ask %s for its row and write it here, if there is one'
        when p_delete then 'this node will ask %1$s for its row and write it here; if %1$s has no such row, the row here will be DELETED'
        else 'this node will ask %1$s for its row and write it here; if %1$s has no such row, the row here stays, different on purpose '
          || '(to have it deleted then, call skip() again with p_delete => true)' end, v_entity.peer);
  return next;
end
$$;
comment on function rowferry.skip(bigint, text, boolean) is
  'Gives a change up. All events of the record that are pending now become a question to the peer, once none of them is in flight, and the peer answers with '
  'its own row, which is written here. If the peer has no such row, the row here stays, different on purpose, or is deleted with p_delete. If the events are '
  'only an answer, they are given up without a question. rowferry.skips logs it, with the row as it is here and with the outcome.';
