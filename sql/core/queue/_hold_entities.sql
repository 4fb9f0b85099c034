create or replace function rowferry._hold_entities(
  p_refusals jsonb
)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  update rowferry.entities n
  set held_attempts = n.held_attempts + 1, held_here = r ? 'here',
    held_until = rowferry._now() + rowferry._back_off(n.held_attempts, 15),
    held_sqlstate = r ->> 'sqlstate', held_error = left(r ->> 'message', 10000), held_hint = left(r ->> 'hint', 10000)
  from jsonb_array_elements(p_refusals) r
  where n.name = r ->> 'entity' and not r ? 'record_id' and n.held_until is distinct from 'infinity';  -- an entity that waits for a person goes on waiting
  insert into rowferry.held_events as h (event_id, entity_id, record_id, attempts, not_before, sqlstate, last_error, hint, first_at, last_at, patience, here)
  select e.id, e.entity_id, e.record_id, case when r ? 'patience' then 0 else 1 end,
    rowferry._now() + case when r ? 'patience' then interval '0' else interval '1 s' end,
    r ->> 'sqlstate', r ->> 'message', r ->> 'hint', rowferry._now(), rowferry._now(), (r ->> 'patience')::integer, true
  from jsonb_array_elements(p_refusals) r
  join rowferry.entities n on n.name = r ->> 'entity'
  cross join lateral rowferry._events_of_record(n.id, r ->> 'record_id') e
  where r ? 'here'
  on conflict (event_id) do update
  set attempts = h.attempts + excluded.attempts, patience = coalesce(excluded.patience, h.patience),
    not_before = rowferry._now() + case when excluded.patience is null then rowferry._back_off(h.attempts) else interval '0' end,
    sqlstate = excluded.sqlstate, last_error = excluded.last_error, hint = excluded.hint, last_at = excluded.last_at, here = excluded.here,
    parent_entity_id = null, parent_record_id = null;
$$;
comment on function rowferry._hold_entities(jsonb) is
  'Holds entities and records, by entries with entity, sqlstate, message and hint. An entry without record_id holds its entity as a whole, because the peer '
  'can take no row of it, or this node cannot read it. The entity is tried again after 1, 2, 4, 8, and then every 15 seconds, so that delivery goes on '
  'without a person once the schemas fit. An entry with record_id and here holds the events of a record that this node cannot send. With patience too, this '
  'does not count as a try: the record travels alone.';
