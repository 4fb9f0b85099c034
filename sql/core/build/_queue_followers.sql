-- Looks at rows that moved (events of type w): they, or the parents that they follow, have entered or left what is kept in sync. The rows that follow each, and those that follow these, get an event
-- with its stamp: a delete if they are outside now, an update if they are within; then it becomes such a one itself. What is sent is what is there when it is read, so whoever changes a row meanwhile is
-- heard by an event of their own. Of a row with many followers the rest waits for the next portion (moves). At least one step succeeds, however long it takes: one that finds too many followers is
-- tried again with fewer rows, and a family of which one takes half of a call's time waits a while, so that others have theirs. o_looked: something was done. o_aside: entities of which nothing may be sent yet, since rows of their family are left to look at, and what is to be sent cannot be judged before.
create or replace function rowferry._queue_followers(
  p_peer text,
  p_limit integer,
  out o_looked boolean,
  out o_aside integer[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  c_time constant interval := '0.1 s';
  c_most constant integer := 5000;  -- followers in one step
  c_counted constant integer := 10000;  -- so many rows that moved are looked at for whose they are
  v_began timestamptz := clock_timestamp();
  v_timeout interval := nullif(current_setting('statement_timeout')::interval, '0');
  v_time interval := least(c_time, v_timeout / 4);
  v_step timestamptz;
  v_most integer := greatest(p_limit, 1000);  -- rows that moved in one step
  v_limit integer := 1;  -- as many in the next one: few at first, since nobody knows how many rows follow them
  v_movable integer[];
  v_move rowferry.moves;
  v_any boolean;  -- whether rows that moved are there to be looked at
  v_turn boolean := false;  -- whether it is their turn: portions of one with many followers and they take turns
  v_ids bigint[];
  v_records text[];
  v_within text[];
  v_left integer[] := '{}';  -- whose rows are left to look at, or to weigh
  v_entity rowferry.entities;
  v_found record;
  v_count integer;
  v_state text;
  v_context text;
  v_message text;
begin
  o_aside := '{}';
  o_looked := rowferry._weigh_places(p_peer);
  if o_looked then
    v_left := array(select e.id from rowferry.entities e where e.peer = p_peer and e.within is not null);
  elsif not exists (select from rowferry.events e where e.event_type = 'w') and not exists (select from rowferry.moves) then
    return;
  end if;
  loop
    exit when v_left <> '{}';
    v_movable := rowferry._movable(p_peer);
    select m.* into v_move from rowferry.moves m where m.entity_id = any (v_movable) order by m.id limit 1;
    select e.entity_id, array_agg(e.id order by e.id), array_agg(distinct e.record_id) into v_entity.id, v_ids, v_records
    from rowferry._moved(v_movable, v_limit) e
    group by e.entity_id
    order by min(e.id)
    limit 1;
    v_any := found;
    exit when v_move.id is null and not v_any;
    if o_looked and clock_timestamp() - v_began > v_time and not (v_any and v_turn) then
      v_left := array(select l.entity_id from rowferry._moved(v_movable, c_counted) l);
      exit;
    end if;
    if v_any and v_turn then
      v_move := null;
    end if;
    v_turn := v_move.id is not null;
    select e.* into v_entity from rowferry.entities e where e.id = coalesce(v_move.entity_id, v_entity.id);
    v_step := clock_timestamp();
    begin
      if v_move.id is not null then
        execute format('select * from rowferry.%I(array[$1], $2, $3)', rowferry._generated_name('followers_', v_entity.name)) into v_found using v_move.parent_record_id, v_move.last_key, v_move.portion;
        perform rowferry._left_nothing();
        v_count := coalesce(cardinality(v_found.o_keys), 0);
        begin
          perform rowferry._queue_records(v_entity, v_found.o_keys, v_found.o_within, array_fill(v_move.changed_at, array[v_count]), array_fill(v_move.hops, array[v_count]), c_most);
        exception
          when sqlstate 'RF101' then
            if v_count > 1 then
              raise;
            end if;
            insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id) values (v_move.changed_at, v_entity.id, v_move.hops, 'w', v_found.o_keys[1]);
        end;
        if v_count = v_move.portion then
          update rowferry.moves m set last_key = v_found.o_keys[v_count], portion = least(c_most, 2 * m.portion) where m.id = v_move.id;
        else
          delete from rowferry.moves m where m.id = v_move.id;
          if not exists (select from rowferry.moves m where m.event_id = v_move.event_id) then
            perform rowferry._send_after(array[v_move.event_id]);
          end if;
        end if;
      else
        execute format('select o_keys from rowferry.%I($1, null, false)', rowferry._generated_name('hash_', v_entity.name)) into v_within using v_records;
        perform rowferry._left_nothing();
        v_within := coalesce(v_within, '{}');
        if v_entity.within is not null then
          -- Neither was it within before: nothing has moved.
          delete from rowferry.events e where e.id = any (v_ids) and e.place is not null and e.record_id not in (select unnest(v_within));
          select array_agg(e.id order by e.id), array_agg(distinct e.record_id) into v_ids, v_records from rowferry.events e where e.id = any (v_ids);
          continue when v_ids is null;
        end if;
        update rowferry.events e set event_type = 'u', place = null where e.id = any (v_ids) and e.record_id in (select unnest(v_within));
        begin
          select array_agg(e.record_id) as records, array_agg(e.changed_at) as stamps, array_agg(e.hops) as hops into v_found
          from (select distinct on (e.record_id) e.* from rowferry.events e where e.id = any (v_ids) order by e.record_id, e.id desc) e;
          perform rowferry._queue_following(v_entity, v_found.records, v_found.stamps, v_found.hops, c_most);
          perform rowferry._send_after(v_ids);
        exception
          when sqlstate 'RF101' then
            if cardinality(v_records) > 1 then
              raise;
            end if;
            -- Its newest event waits for them, if it is to go after them.
            update rowferry.events e set event_type = 'd', place = null where e.id = any (v_ids[:cardinality(v_ids) - 1]) and e.event_type = 'w';
            insert into rowferry.moves (entity_id, parent_record_id, event_id, changed_at, hops)
            select c.id, e.record_id, case when e.event_type = 'w' then e.id end, e.changed_at, e.hops
            from rowferry.events e cross join rowferry.entities c
            where e.id = v_ids[cardinality(v_ids)] and c.within = v_entity.name and c.direction <> 'receive'
            order by c.id;
        end;
        v_limit := least(8 * v_limit, v_most);
      end if;
      o_looked := true;
      if clock_timestamp() - v_step > v_timeout / 2 then
        perform rowferry._hold_followers(v_entity, v_move.id is not null);
      else
        perform rowferry._end_wait(e.id)
        from rowferry._with_followers(v_entity.name) f
        join rowferry.entities e on e.name = f.o_name
        where e.held_here and e.held_sqlstate = '57014';
      end if;
    exception
      when query_canceled then
        -- By a person, and no timeout.
        if v_timeout is null or clock_timestamp() < statement_timestamp() + v_timeout * 0.9 then
          raise;
        end if;
        update rowferry.moves m set portion = greatest(1, m.portion / 8) where m.id = v_move.id;
        perform rowferry._hold_followers(v_entity, v_move.id is not null);
        o_looked := true;
      -- Too many followers in one step.
      when sqlstate 'RF101' then
        if v_move.id is not null then
          update rowferry.moves m set portion = greatest(1, m.portion / 8) where m.id = v_move.id;
        else
          v_most := greatest(1, cardinality(v_ids) / 8);
          v_limit := v_most;
        end if;
      -- A table that was altered or dropped here stops no other.
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context, v_message = message_text;
        if rowferry._stops_every_table(v_state, v_context) then
          raise;
        end if;
        -- It, or one whose rows follow.
        select e.* into v_entity
        from rowferry._with_followers(v_entity.name) f
        join rowferry.entities e on e.name = f.o_name
        order by (rowferry._table_apart(e)).o_unusable desc, f.o_depth
        limit 1;
        perform rowferry._hold_entities(jsonb_build_array(rowferry._unreadable_entity(v_entity, v_state, v_message)));
        o_looked := true;
    end;
  end loop;
  o_aside := array(
    with recursive family (id, name, within) as (
      -- Where so many are left, they may be of any.
      select e.id, e.name, e.within
      from rowferry.entities e
      where e.id = any (v_left) or cardinality(v_left) = c_counted and e.id = any (v_movable)
      union
      select e.id, e.name, e.within from family f join rowferry.entities e on e.within = f.name or e.name = f.within
    )
    select f.id from family f where f.within is not null or exists (select from rowferry.entities c where c.within = f.name)
    union
    -- Many of its rows are about to leave; the breaker is to see them all.
    select m.entity_id from rowferry.moves m where m.event_id is not null);
end
$$;
comment on function rowferry._queue_followers(text, integer) is 'Queues the rows that follow those that have entered or left what is kept in sync.';
