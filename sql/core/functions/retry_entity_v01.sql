-- Tries all held events of an entity again with the next batches, and the entity itself if the peer refused it as a whole; one row for each event.
create or replace function rowferry.retry(
  p_entity text
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
  with due as (
    update rowferry.held_events h set not_before = rowferry._now()
    where h.entity_id = v_entity.id
    returning h.event_id, h.record_id, h.attempts, h.last_error
  )
  select d.event_id, v_entity.name, d.record_id, d.attempts, d.last_error from due d order by d.event_id;
end
$$;
comment on function rowferry.retry(text) is 'Tries all held events of an entity again.';
revoke all on function rowferry.retry(text) from public;
