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
  c_counted constant integer := 10000;  -- of the rows that are left, the entities of at most this many are looked up
  v_began timestamptz := clock_timestamp();
  v_timeout interval := nullif(current_setting('statement_timeout')::interval, '0');
  v_step timestamptz;
  v_most integer := greatest(p_limit, 1000);  -- rows that moved in one step
  v_limit integer := 1;  -- as many in the next step: few at first, because nobody knows how many rows follow them
  v_movable integer[];
  v_move rowferry.moves;
  v_turn boolean := false;  -- whether the last step was a portion, so that it is the turn of rows that moved
  v_ids bigint[];
  v_left integer[] := '{}';  -- entities of rows that are left to look at, or to weigh
  v_entity rowferry.entities;
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
  while v_left = '{}' loop
    v_movable := rowferry._movable(p_peer);
    v_ids := null;
    select e.entity_id, array_agg(e.id) into v_entity.id, v_ids
    from rowferry._moved(v_movable, v_limit) e group by e.entity_id order by min(e.id) limit 1;
    v_turn := v_turn and v_ids is not null;
    select m.* into v_move from rowferry.moves m where m.entity_id = any (v_movable) and not v_turn order by m.id limit 1;
    exit when v_move.id is null and v_ids is null;
    if o_looked and clock_timestamp() - v_began > least(c_time, v_timeout / 4) and not v_turn then
      v_left := array(select l.entity_id from rowferry._moved(v_movable, c_counted) l);
      exit;
    end if;
    v_turn := v_move.id is not null;
    select e.* into v_entity from rowferry.entities e where e.id = coalesce(v_move.entity_id, v_entity.id);
    v_step := clock_timestamp();
    begin
      perform rowferry._look_at_moved(v_entity, v_move, v_ids);
      v_limit := case when v_turn then v_limit else least(8 * v_limit, v_most) end;
      o_looked := true;
      if clock_timestamp() - v_step > v_timeout / 2 then
        perform rowferry._hold_followers(v_entity, v_turn);
      else
        perform rowferry._end_wait(e.id)
        from rowferry._with_followers(v_entity.name) f
        join rowferry.entities e on e.name = f.o_name
        where e.held_here and e.held_sqlstate = '57014';
      end if;
    exception
      when query_canceled then
        -- A person has cancelled it; it was no timeout.
        if v_timeout is null or clock_timestamp() < statement_timestamp() + v_timeout * 0.9 then
          raise;
        end if;
        update rowferry.moves m set portion = greatest(1, m.portion / 8) where m.id = v_move.id;
        perform rowferry._hold_followers(v_entity, v_turn);
        o_looked := true;
      -- Too many followers in one step.
      when sqlstate 'RF101' then
        if v_turn then
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
        -- The error is of this table, or of one whose rows follow.
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
      -- If more rows than that are left, they may be of any entity.
      select e.id, e.name, e.within
      from rowferry.entities e
      where e.id = any (v_left) or cardinality(v_left) = c_counted and e.id = any (v_movable)
      union
      select e.id, e.name, e.within from family f join rowferry.entities e on e.within = f.name or e.name = f.within
    )
    select f.id from family f where f.within is not null or exists (select from rowferry.entities c where c.within = f.name)
    union
    -- Many rows of the entity are about to leave. The breaker is to see them all.
    select m.entity_id from rowferry.moves m where m.event_id is not null);
end
$$;
comment on function rowferry._queue_followers(text, integer) is
  'Looks at rows that moved (events of type w): they, or the parents that they follow, have entered or left what is kept in sync. Each row that follows them '
  'gets an event of its own, so that whatever is read later is judged by the row''s present state. It looks for 0.1 s, but does at least one step, however '
  'long that takes. A step that finds too many followers is undone and tried with fewer rows; an entity whose step takes half of the call''s time is held '
  'for a while. o_looked says that something was done. o_aside names entities of which nothing may be sent yet, because rows of their family have not been '
  'looked at.';
