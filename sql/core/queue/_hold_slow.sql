create or replace function rowferry._hold_slow(
  p_peer text,
  p_limit integer,
  p_alone boolean,
  p_aside integer[]
)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_timeout interval := current_setting('statement_timeout');
  v_event record;
begin
  if v_timeout = interval '0' or clock_timestamp() < statement_timestamp() + v_timeout * 0.9 then
    return false;
  end if;
  -- The record that _read_batch() chose: the one that travels alone, or the oldest.
  select e.entity_id, e.record_id into v_event
  from rowferry._alone(p_peer) a
  join rowferry.events e on e.id = a.o_event_id
  where p_alone and a.o_allowed and not a.o_flying;
  if not found and p_limit = 1 then
    select q.entity_id, q.record_id into v_event
    from rowferry._queue q
    join rowferry.entities n on n.id = q.entity_id and n.peer = p_peer and n.id <> all (p_aside) and rowferry._is_free(n)
    where coalesce(q.due_at <= rowferry._now() and (not q.alone or q.due_at = '-infinity'), true) and not q.in_flight and not q.record_skipped
    order by q.due_at nulls first, q.id
    limit 1;
  end if;
  if v_event is null then
    return false;
  end if;
  perform rowferry._hold_late(
    array(select e.id from rowferry._events_of_record(v_event.entity_id, v_event.record_id) e),
    true,
    'this node ran out of time reading this row alone',
    'A row of many MB needs time: raise deadlock_timeout on both nodes and start the worker again; '
      'then select rowferry.retry(id); or give the change up: select rowferry.skip(id, ''reason'');');
  return true;
end
$$;
comment on function rowferry._hold_slow(text, integer, boolean, integer[]) is
  'After a timeout while a batch of one record was read, this holds the record, so that it delays no other, and returns true. It returns false if the batch '
  'had more than one record, or if it was no timeout; then fewer records, or another time, may help. p_limit, p_alone and p_aside are those of '
  '_read_batch().';
