create or replace function rowferry.retry(
  p_id bigint
)
returns table (
  event_id bigint,
  entity text,
  record_id text,
  attempts integer,
  error_before text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  -- If the entity waits for a person, this raises an error that says so.
  perform rowferry.retry(n.name)
  from rowferry.events e join rowferry.entities n on n.id = e.entity_id
  where e.id = p_id and n.held_until = 'infinity';
  return query
  with due as (
    update rowferry.entities n set held_until = rowferry._now()
    from rowferry.events e
    where e.id = p_id and n.id = e.entity_id and n.held_attempts > 0 and n.held_until < 'infinity'
    returning e.id, n.name, e.record_id, n.held_attempts, n.held_error
  )
  select d.* from due d;
  if not found and not exists (select from rowferry.held_events h where h.event_id = p_id) then
    raise exception using errcode = 'RF008', message = 'no such event is held', detail = format('Event %s.', p_id),
      hint = 'select id, entity, record_id, last_error from rowferry.sync_events where attempts > 0;';
  end if;
  return query
  select d.event_id, e.name, d.record_id, d.attempts, d.last_error
  from rowferry.held_events w
  cross join lateral rowferry._retry_held(w.entity_id, w.record_id) d
  join rowferry.entities e on e.id = d.entity_id
  where w.event_id = p_id;
end
$$;
comment on function rowferry.retry(bigint) is
  'Tries a held event again with the next batch. All held events of its record are tried with it, and all events of its entity if that is held as a whole. If '
  'the event waits for its parent, the parent is tried. error_before is why the try before failed; whether this one does, sync_events says after it.';

create or replace function rowferry.retry(
  p_entity text
)
returns table (
  event_id bigint,
  entity text,
  record_id text,
  attempts integer,
  error_before text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_entity rowferry.entities := rowferry._find_entity(p_entity);
begin
  if v_entity.held_until = 'infinity' then
    raise exception using errcode = v_entity.held_sqlstate, message = 'the entity waits for a person, not for another try',
      detail = format('%s: %s.', v_entity.name, v_entity.held_error), hint = v_entity.held_hint;
  end if;
  if v_entity.held_attempts > 0 then
    update rowferry.entities e set held_until = rowferry._now() where e.id = v_entity.id;
    return query
    select e.id, v_entity.name, e.record_id, v_entity.held_attempts, v_entity.held_error
    from rowferry.events e
    where e.entity_id = v_entity.id and not exists (select from rowferry.held_events h where h.event_id = e.id)
    order by e.id;
  end if;
  return query
  select d.event_id, v_entity.name, d.record_id, d.attempts, d.last_error from rowferry._retry_held(v_entity.id) d;
end
$$;
comment on function rowferry.retry(text) is
  'Tries all held events of an entity again with the next batches, and the entity itself if it is held as a whole. It returns a row for each event. If events '
  'wait for a parent, the parent is tried. error_before is why the try before failed; whether this one does, sync_events says after it.';
