create or replace function rowferry._hold_late(
  p_ids bigint[],
  p_here boolean,
  p_error text,
  p_hint text
)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowferry.held_events as h (event_id, entity_id, record_id, attempts, not_before, sqlstate, last_error, hint, first_at, last_at, patience, here)
  select e.id, e.entity_id, e.record_id, 1, rowferry._now(), '57014', p_error, p_hint, rowferry._now(), rowferry._now(), 1, p_here
  from rowferry.events e
  where e.id = any (p_ids)
  on conflict (event_id) do update
  set attempts = h.attempts + 1, sqlstate = excluded.sqlstate, last_error = excluded.last_error, hint = excluded.hint,
    last_at = excluded.last_at, here = excluded.here, patience = coalesce(h.patience, 1), parent_entity_id = null, parent_record_id = null,
    not_before = excluded.not_before + case when h.attempts < 2 then interval '1 s' * h.attempts
      else greatest(interval '5 min', least(64, 8 * coalesce(h.patience, 1)) * interval '14 s') end
$$;
comment on function rowferry._hold_late(bigint[], boolean, text, text) is
  'Holds events of a record that ran out of time although nothing else was in its batch, on this node (p_here) or on the peer. From now on it travels '
  'alone, with more time at each try. After the third failure it is left for some minutes, twenty times as long as it may take.';
