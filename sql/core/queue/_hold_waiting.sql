create or replace function rowferry._hold_waiting(
  p_waiting jsonb
)
returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
  with noted as (
    insert into rowferry.held_events as h (event_id, entity_id, record_id, attempts, not_before, sqlstate, last_error, hint, first_at, last_at,
      parent_entity_id, parent_record_id)
    select e.id, e.entity_id, e.record_id, 0, null, '23503', format('not tried: %s lacks its parent %s %s', n.peer, p.name, w.parent_record_id),
      format('You need do nothing: the row goes once its parent has gone. This shows where the parent stands: '
        'select * from rowferry.row_status(%L, %L);', p.name, w.parent_record_id),
      rowferry._now(), rowferry._now(), w.parent_id, w.parent_record_id
    from jsonb_to_recordset(p_waiting) w (entity text, record_id text, parent_id integer, parent_record_id text)
    join rowferry.entities n on n.name = w.entity
    join rowferry.entities p on p.id = w.parent_id
    cross join lateral rowferry._events_of_record(n.id, w.record_id) e
    on conflict (event_id) do update
    set not_before = null, sqlstate = excluded.sqlstate, last_error = excluded.last_error, hint = excluded.hint, last_at = excluded.last_at,
      here = false, parent_entity_id = excluded.parent_entity_id, parent_record_id = excluded.parent_record_id
    where h.not_before is not null or (h.parent_entity_id, h.parent_record_id) is distinct from (excluded.parent_entity_id, excluded.parent_record_id)
    returning h.event_id
  )
  select count(*) from noted
$$;
comment on function rowferry._hold_waiting(jsonb) is
  'Holds the changes of rows whose parent the peer lacks, as _left_waiting() found them, without trying them. Returns the number of events that did not '
  'already wait for this parent.';
