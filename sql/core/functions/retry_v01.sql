-- Tries a held event again with the next batch.
create or replace function rowferry.retry(
  p_id bigint
)
returns table (
  event_id bigint,
  entity text,
  record_id text,
  attempts integer,
  last_error text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  -- What waits for a person on this node is not to be had by trying.
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
comment on function rowferry.retry(bigint) is 'Tries a held event again with the next batch; all held events of its record go with it, and all of its entity if that is held as a whole. One that waits for its parent goes after it: the parent is tried.';
revoke all on function rowferry.retry(bigint) from public;
