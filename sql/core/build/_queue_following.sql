create or replace function rowferry._queue_following(
  p_entity rowferry.entities,
  p_records text[],
  p_stamps timestamptz[],
  p_hops smallint[],
  p_most integer,
  p_portion rowferry.moves default null
)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_child rowferry.entities;
  v_found record;
  v_rows record;
  v_last_key text;
begin
  for v_child in
    select c.* from rowferry.entities c
    where c.within = p_entity.name and c.direction <> 'receive' and c.id = coalesce(p_portion.entity_id, c.id)
    order by c.id
  loop
    execute format('select * from rowferry.%I($1, $2, $3)', rowferry._generated_name('followers_', v_child.name)) into v_found
    using p_records, p_portion.last_key, coalesce(p_portion.portion, p_most + 1);
    perform rowferry._left_nothing();
    continue when v_found.o_keys is null;
    if cardinality(v_found.o_keys) > p_most then
      raise exception using errcode = 'RF101', message = 'too many rows follow these for one step';
    end if;
    v_last_key := v_found.o_keys[p_portion.portion];
    select array_agg(f.key) as keys, array_agg(f.is_within) as within, array_agg(r.stamp) as stamps, array_agg(r.hops) as hops into v_rows
    from unnest(v_found.o_parents, v_found.o_keys, v_found.o_within) f (parent, key, is_within)
    -- A portion is of one record, which may be spelled otherwise by now.
    join unnest(p_records, p_stamps, p_hops) r (record_id, stamp, hops) on r.record_id = f.parent or p_portion.id is not null;
    begin
      insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id)
      -- Writes made while the row was outside count in a conflict here, and the peer hears of them only by this event. So its time is that of the last of them.
      select greatest(r.stamp, w.newest), v_child.id, case when w.newest is null then r.hops else 0 end, 'u', r.record_id
      from unnest(v_rows.keys, v_rows.within, v_rows.stamps, v_rows.hops) r (record_id, is_within, stamp, hops)
      cross join lateral (
        select max(e.changed_at) from rowferry.events e
        where rowferry._index_key(e.record_id) = rowferry._index_key(r.record_id) and e.entity_id = v_child.id
          and e.event_type in ('i', 'u') and e.hops = 0) w (newest)
      where r.is_within;
      perform rowferry._queue_following(v_child, v_rows.keys, v_rows.stamps, v_rows.hops, p_most);
      insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id)
      select r.stamp, v_child.id, r.hops, 'd', r.record_id
      from unnest(v_rows.keys, v_rows.within, v_rows.stamps, v_rows.hops) r (record_id, is_within, stamp, hops)
      where not r.is_within;
    exception
      -- A portion cannot be smaller than one row: that row is looked at as one that moved itself.
      when sqlstate 'RF101' then
        if p_portion.id is null or cardinality(v_rows.keys) > 1 then
          raise;
        end if;
        insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id)
        values (v_rows.stamps[1], v_child.id, v_rows.hops[1], 'w', v_rows.keys[1]);
    end;
  end loop;
  return v_last_key;
end
$$;
comment on function rowferry._queue_following(rowferry.entities, text[], timestamptz[], smallint[], integer, rowferry.moves) is
  'Queues an event for each row that follows some records of an entity, with the stamp and the hops given for the record, and for each row that follows '
  'those. A row that is kept in sync now gets an update, before the events of what follows it; a row that is outside gets a delete, after them. Raises '
  'RF101 if more than p_most rows of one entity would be queued. With p_portion only the next rows of that portion are queued; then it returns the key '
  'of the last one, or null if there are no more.';
