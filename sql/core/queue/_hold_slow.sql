-- After a timeout while a batch of one record was read: holds this record, so that it delays no other. False if the batch was not of one record, or
-- it was no timeout: then fewer records, or another time, may do.
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
  v_now timestamptz := rowferry._now();
  v_event record;
begin
  if v_timeout = interval '0' or clock_timestamp() < statement_timestamp() + v_timeout * 0.9 then
    return false;
  end if;
  -- The one that _read_batch chose.
  select e.entity_id, e.record_id into v_event
  from rowferry._alone(p_peer) a
  join rowferry.events e on e.id = a.o_event_id
  where p_alone and a.o_allowed and not a.o_flying;
  if not found and p_limit = 1 then
    select e.entity_id, e.record_id into v_event
    from rowferry.events e
    join rowferry.entities n on n.id = e.entity_id and n.peer = p_peer and n.id <> all (p_aside) and (n.held_until is null or n.held_until <= v_now)
    left join rowferry.held_events h on h.event_id = e.id
    left join rowferry.missing_parents m on m.entity_id = h.parent_entity_id and rowferry._index_key(m.record_id) = rowferry._index_key(h.parent_record_id) and m.came
    where (h.event_id is null or h.not_before <= v_now and h.patience is null or h.not_before is null and m.came)
      and not exists (select from rowferry.built_batches b where b.peer = p_peer and b.in_flight and e.id <@ b.ids)
      and not exists (select from rowferry.skips s where s.done_at is null and s.entity_id = e.entity_id and rowferry._index_key(s.record_id) = rowferry._index_key(e.record_id))
    order by h.event_id is not null, h.not_before is not null, h.not_before, e.id
    limit 1;
  end if;
  if v_event is null then
    return false;
  end if;
  perform rowferry._hold_late(
    array(select e.id from rowferry.events e where e.entity_id = v_event.entity_id and rowferry._index_key(e.record_id) = rowferry._index_key(v_event.record_id)),
    true,
    'this node ran out of time reading this row alone',
    'A row of many MB needs time: raise deadlock_timeout on both nodes and start the worker again; then select rowferry.retry(id); or give the change up: select rowferry.skip(id, reason);');
  return true;
end
$$;
comment on function rowferry._hold_slow(text, integer, boolean, integer[]) is 'Holds the one record that this node ran out of time reading.';
