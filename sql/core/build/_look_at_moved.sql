create or replace function rowferry._look_at_moved(
  p_entity rowferry.entities,
  p_move rowferry.moves,
  p_ids bigint[]
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  c_most constant integer := 5000;  -- followers in one step
  v_ids bigint[] := p_ids;
  v_within text[];
  v_rows record;
  v_last_key text;
begin
  if p_move.id is not null then
    v_last_key := rowferry._queue_following((select p from rowferry.entities p where p.name = p_entity.within), array[p_move.parent_record_id],
      array[p_move.changed_at], array[p_move.hops], c_most, p_move);
    if v_last_key is not null then
      update rowferry.moves m set last_key = v_last_key, portion = least(c_most, 2 * m.portion) where m.id = p_move.id;
      return;
    end if;
    delete from rowferry.moves m where m.id = p_move.id;
    v_ids := case when not exists (select from rowferry.moves m where m.event_id = p_move.event_id) then array[p_move.event_id] end;
  else
    execute format('select o_keys from rowferry.%I($1, null, false)', rowferry._generated_name('hash_', p_entity.name)) into v_within
    using array(select distinct e.record_id from rowferry.events e where e.id = any (p_ids));
    perform rowferry._left_nothing();
    if p_entity.within is not null then
      -- _weigh_places has found these outside before, and they are outside now: they have not moved.
      delete from rowferry.events e
      where e.id = any (p_ids) and e.place is not null and (e.record_id in (select unnest(v_within))) is not true;
    end if;
    update rowferry.events e set event_type = 'u', place = null where e.id = any (p_ids) and e.record_id in (select unnest(v_within));
    select array_agg(e.record_id) as records, array_agg(e.changed_at) as stamps, array_agg(e.hops) as hops, array_agg(e.id) as newest into v_rows
    from (select distinct on (e.record_id) e.* from rowferry.events e where e.id = any (p_ids) order by e.record_id, e.id desc) e;
    if v_rows.records is null then
      return;
    end if;
    begin
      perform rowferry._queue_following(p_entity, v_rows.records, v_rows.stamps, v_rows.hops, c_most);
    exception
      when sqlstate 'RF101' then
        if cardinality(v_rows.records) > 1 then
          raise;
        end if;
        -- Its followers are queued in portions. If the row left the filter, its newest event waits for the last of them.
        update rowferry.events e set event_type = 'd', place = null where e.id = any (p_ids) and e.id <> v_rows.newest[1] and e.event_type = 'w';
        insert into rowferry.moves (entity_id, parent_record_id, event_id, changed_at, hops)
        select c.id, e.record_id, case when e.event_type = 'w' then e.id end, e.changed_at, e.hops
        from rowferry.events e cross join rowferry.entities c
        where e.id = v_rows.newest[1] and c.within = p_entity.name and c.direction <> 'receive'
        order by c.id;
        return;
    end;
  end if;
  -- The events of what follows are queued. A row that left gets an event behind them.
  with left_rows as (
    delete from rowferry.events e where e.id = any (v_ids) and e.event_type = 'w' returning e.*
  )
  insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id)
  select l.changed_at, l.entity_id, l.hops, 'd', l.record_id from left_rows l order by l.id;
end
$$;
comment on function rowferry._look_at_moved(rowferry.entities, rowferry.moves, bigint[]) is
  'One step of _queue_followers(): queues the next portion of p_move, or what follows the rows of the entity whose events p_ids say that they moved. '
  'Once all of that is queued, the event of a row that moved becomes an update, if the row is kept in sync now, or a delete behind what follows it. '
  'Raises RF101 if too many rows follow for one step.';
