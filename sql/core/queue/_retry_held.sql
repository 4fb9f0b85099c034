create or replace function rowferry._retry_held(
  p_entity_id integer,
  p_record_id text default null
)
returns setof rowferry.held_events
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now timestamptz := rowferry._now();
  v_above_ids integer[];
  v_above_records text[];
  v_above record;
begin
  select array_agg(p.parent_entity_id), array_agg(p.parent_record_id) into v_above_ids, v_above_records
  from (
    select distinct h.parent_entity_id, h.parent_record_id
    from rowferry.held_events h
    where h.entity_id = p_entity_id and h.parent_record_id is not null
      and (p_record_id is null or rowferry._index_key(h.record_id) = rowferry._index_key(p_record_id))
  ) p;
  if v_above_ids is not null then
    for v_above in
      select * from unnest(v_above_ids, v_above_records) a (entity_id, record_id)
      union
      select a.above_entity_id, a.above_record_id from rowferry._parents_awaited(v_above_ids, v_above_records) a
    loop
      update rowferry.missing_parents m set not_before = v_now
      where m.entity_id = v_above.entity_id and rowferry._index_key(m.record_id) = rowferry._index_key(v_above.record_id);
      update rowferry.held_events h set not_before = v_now
      where h.entity_id = v_above.entity_id and rowferry._index_key(h.record_id) = rowferry._index_key(v_above.record_id) and h.not_before is not null;
    end loop;
  end if;
  return query
  with due as (
    update rowferry.held_events h set not_before = v_now
    where h.entity_id = p_entity_id and h.not_before is not null
      and (p_record_id is null or rowferry._index_key(h.record_id) = rowferry._index_key(p_record_id))
    returning h.*
  )
  select d.* from due d
  union all
  select h.*
  from rowferry.held_events h
  where h.entity_id = p_entity_id and h.not_before is null
    and (p_record_id is null or rowferry._index_key(h.record_id) = rowferry._index_key(p_record_id))
  order by event_id;
end
$$;
comment on function rowferry._retry_held(integer, text) is
  'Tries the held events of an entity, or of one record of it, again with the next batch, and returns them. An event that waits for its parent is sent once '
  'the parent has been taken. So the record that it waits for in the end is tried, and one of the rows that wait for each parent on the way.';
