create or replace function rowferry.backfill(
  p_entity_or_table text,
  p_rows_per_second integer default null
)
returns table (
  entity text,
  relation regclass,
  estimated_rows bigint,
  state text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_entity rowferry.entities;
begin
  v_entity := rowferry._find_entity(p_entity_or_table);
  perform rowferry._refuse_wrong_direction(v_entity, p_sends => true);
  if p_rows_per_second < 1 then
    raise exception using errcode = '22023', message = 'p_rows_per_second must be at least 1', hint = 'Leave it out to send as fast as possible.';
  end if;
  insert into rowferry.backfills as b (entity_id, rows_per_second, requested_at, requested_by)
  values (v_entity.id, p_rows_per_second, rowferry._now(), session_user)
  on conflict (entity_id) do update
  set last_key = null, first_event_id = 0, last_event_id = 0, queued = 0, rows_per_second = excluded.rows_per_second, not_before = null,
    requested_at = excluded.requested_at,
    requested_by = excluded.requested_by, finished_at = null;
  return query select v_entity.name, v_entity.relation,
    rowferry._estimated_rows(v_entity.relation),
    format('queued for %s; select * from rowferry.backfill_progress shows how far it is', v_entity.peer);
end
$$;
comment on function rowferry.backfill(text, integer) is
  'Sends the rows of an entity that are there already, a chunk at a time in the order of their keys, and no more of them a second than p_rows_per_second. '
  'If it is called again, it begins from the start.';
