-- Looks at rows that moved (events of type w): they, or the parents that they follow, have entered or left what is kept in sync. The rows that follow each get an event with its stamp: a delete if they
-- are outside now, an update if they are within, or w again if others follow them; then the event itself becomes such a one. Where it says that the row is gone from the peer, it goes after its followers. What is sent is
-- what is there when it is read, so whoever changes a row meanwhile is heard by their own event. Of a row with many followers the rest waits for the next portion (moves).
create or replace function rowferry._queue_followers(
  p_peer text,
  p_limit integer
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  c_time constant interval := '0.1 s';
  c_most constant integer := 10000;  -- followers in one step
  v_began timestamptz := clock_timestamp();
  v_limit integer := p_limit;
  v_mine integer[];
  v_move rowferry.moves;
  v_group record;
  v_entity rowferry.entities;
  v_child rowferry.entities;
  v_read rowferry.entities;
  v_within text[];
  v_found record;
  v_wait boolean;
  v_state text;
  v_context text;
  v_message text;
begin
  if not exists (select from rowferry.events e where e.event_type = 'w') and not exists (select from rowferry.moves) then
    return;
  end if;
  loop
    -- A table that cannot be read, or that a person holds, lets its rows, and those that they follow, wait.
    v_mine := array(
      with recursive held (id, within) as (
        select e.id, e.within from rowferry.entities e where e.peer = p_peer and e.held_until > rowferry._now()
        union
        select e.id, e.within from held h join rowferry.entities e on e.name = h.within
      )
      select e.id from rowferry.entities e where e.peer = p_peer and e.id not in (select h.id from held h));
    select m.* into v_move from rowferry.moves m where m.entity_id = any (v_mine) order by m.id limit 1;
    select e.entity_id, array_agg(e.id order by e.id) as ids, array_agg(distinct e.record_id) as records into v_group
    from (
      select e.id, e.entity_id, e.record_id
      from rowferry.events e
      where e.event_type = 'w' and e.entity_id = any (v_mine)
        and not exists (select from rowferry.moves m where m.event_id = e.id)
        and not exists (select from rowferry.skips s
          where s.done_at is null and s.entity_id = e.entity_id and rowferry._index_key(s.record_id) = rowferry._index_key(e.record_id) and e.id <@ s.ids)
      order by e.id
      limit v_limit
    ) e
    group by e.entity_id
    order by min(e.id)
    limit 1;
    exit when v_move.id is null and v_group.entity_id is null;
    begin
      if v_move.id is not null then
        select e.* into v_read from rowferry.entities e where e.id = v_move.entity_id;
        execute format('select * from rowferry.%I(array[$1], $2, $3)', rowferry._object_name('followers_', v_read.name)) into v_found using v_move.parent_record_id, v_move.last_key, c_most;
        perform rowferry._left_nothing();
        insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id)
        select v_move.changed_at, v_read.id, v_move.hops, case when rowferry._is_followed(v_read) then 'w' when f.is_within then 'u' else 'd' end::"char", f.key
        from unnest(v_found.o_keys, v_found.o_within) f (key, is_within);
        if cardinality(v_found.o_keys) = c_most then
          update rowferry.moves m set last_key = v_found.o_keys[c_most] where m.id = v_move.id;
        else
          delete from rowferry.moves m where m.id = v_move.id;
          if not exists (select from rowferry.moves m where m.event_id = v_move.event_id) then
            perform rowferry._send_after(array[v_move.event_id]);
          end if;
        end if;
      else
        select e.* into v_entity from rowferry.entities e where e.id = v_group.entity_id;
        v_read := v_entity;
        execute format('select o_keys from rowferry.%I($1, null, false)', rowferry._object_name('hash_', v_entity.name)) into v_within using v_group.records;
        perform rowferry._left_nothing();
        v_within := coalesce(v_within, '{}');
        v_wait := false;
        for v_child in select c.* from rowferry.entities c where c.within = v_entity.name order by c.id loop
          v_read := v_child;
          execute format('select * from rowferry.%I($1, null, $2)', rowferry._object_name('followers_', v_child.name)) into v_found using v_group.records, c_most + 1;
          perform rowferry._left_nothing();
          if cardinality(v_found.o_keys) <= c_most then
            insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id)
            select w.changed_at, v_child.id, w.hops, case when rowferry._is_followed(v_child) then 'w' when f.is_within then 'u' else 'd' end::"char", f.key
            from unnest(v_found.o_parents, v_found.o_keys, v_found.o_within) f (parent, key, is_within)
            join (
              select distinct on (e.record_id) e.record_id, e.changed_at, e.hops from rowferry.events e where e.id = any (v_group.ids) order by e.record_id, e.id desc
            ) w on w.record_id = f.parent;
          elsif cardinality(v_group.records) > 1 then
            raise sqlstate 'RF102';  -- too many at once: fewer rows
          else
            v_wait := v_within = '{}';
            insert into rowferry.moves (entity_id, parent_record_id, event_id, changed_at, hops)
            select v_child.id, e.record_id, case when v_wait then e.id end, e.changed_at, e.hops from rowferry.events e where e.id = v_group.ids[cardinality(v_group.ids)];
          end if;
        end loop;
        update rowferry.events e set event_type = case when e.record_id = any (v_within) then 'u' else 'd' end::"char"
        where e.id = any (v_group.ids) and (e.record_id = any (v_within) or v_wait and e.id <> v_group.ids[cardinality(v_group.ids)]);
        if not v_wait then
          perform rowferry._send_after(array(select e.id from rowferry.events e where e.id = any (v_group.ids) and e.event_type = 'w'));
        end if;
      end if;
    exception
      when sqlstate 'RF102' then
        v_limit := greatest(1, cardinality(v_group.ids) / 8);
      -- A table that was altered or dropped here stops no other.
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context, v_message = message_text;
        if rowferry._stops_every_table(v_state, v_context) then
          raise;
        end if;
        perform rowferry._hold_entities(jsonb_build_array(rowferry._unreadable_entity(v_read, v_state, v_message)));
    end;
    exit when clock_timestamp() - v_began > c_time;
  end loop;
end
$$;
comment on function rowferry._queue_followers(text, integer) is 'Queues the rows that follow those that have entered or left what is kept in sync.';
revoke all on function rowferry._queue_followers(text, integer) from public;
