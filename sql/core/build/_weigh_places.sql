create or replace function rowferry._weigh_places(
  p_peer text
)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
set enable_sort = off  -- so that the index events_of_kind is used, which has this order
set plan_cache_mode = force_generic_plan
as $$
declare
  c_time constant interval := '0.1 s';
  c_most constant integer := 5000;
  v_began timestamptz := clock_timestamp();
  v_entity rowferry.entities;
  v_parent rowferry.entities;
  v_ids bigint[];
  v_places text[];
  v_there text[];  -- those of the parents that the peer may have
  v_state text;
  v_context text;
begin
  if not exists (select from rowferry._queue q where q.event_type = 'd' and q.placed)
    and not exists (select from rowferry._queue q where q.event_type = 'w' and q.placed) then
    return false;
  end if;
  for v_entity in
    with recursive depths (id, name, depth) as (
      select e.id, e.name, 0 from rowferry.entities e where e.peer = p_peer and e.within is null
      union all
      select e.id, e.name, d.depth + 1 from depths d join rowferry.entities e on e.within = d.name
    )
    select e.* from depths d join rowferry.entities e on e.id = d.id order by d.depth, d.id
  loop
    select p.* into v_parent from rowferry.entities p where p.name = v_entity.within;
    loop
      select array_agg(e.id), array_agg(distinct e.place[1]) filter (where e.place <> '{}') into v_ids, v_places
      from (
        (select q.id, q.place from rowferry._queue q where q.event_type = 'd' and q.placed and q.entity_id = v_entity.id order by q.id + 0 limit c_most)
        union all
        (select q.id, q.place from rowferry._queue q where q.event_type = 'w' and q.placed and q.entity_id = v_entity.id order by q.id + 0 limit c_most)
      ) e;
      exit when v_ids is null;
      if clock_timestamp() - v_began > c_time then
        return true;
      end if;
      begin
        v_there := null;
        if v_parent.id is not null and v_places is not null then
          execute format('select o_keys from rowferry.%I($1, null, false)', rowferry._generated_name('hash_', v_parent.name)) into v_there using v_places;
          perform rowferry._left_nothing();
          -- The peer may also have a parent if an event of that parent waits that is neither an insert, nor an update, nor a move made while it was outside.
          v_there := v_there || array(
            select e.record_id from rowferry.events e
            where rowferry._index_key(e.record_id) = any (rowferry._index_keys(v_places)) and e.entity_id = v_parent.id and e.event_type not in ('i', 'u')
              and (e.event_type <> 'w' or e.place is null));
        end if;
      exception
        -- If the table was altered or dropped, nothing can be told, so the peer hears of all these rows.
        when others or assert_failure then
          get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context;
          if rowferry._stops_every_table(v_state, v_context) then
            raise;
          end if;
          v_there := v_places;
      end;
      -- Earlier inserts and updates of the row are removed too. Otherwise they would be sent, and because the row is gone, the peer would see a delete.
      with dropped as (
        delete from rowferry.events e
        where e.id = any (v_ids) and e.event_type = 'd' and v_parent.id is not null and (e.place[1] in (select unnest(v_there))) is not true
        returning e.record_id, e.id
      )
      delete from rowferry.events e
      using dropped d
      where e.entity_id = v_entity.id and rowferry._index_key(e.record_id) = rowferry._index_key(d.record_id) and e.id + 0 < d.id
        and e.event_type in ('i', 'u');
      update rowferry.events e
      set place = case when v_parent.id is not null and (e.place[1] in (select unnest(v_there))) is not true then '{}'::text[] end
      where e.id = any (v_ids);
    end loop;
  end loop;
  return false;
end
$$;
comment on function rowferry._weigh_places(text) is
  'Finds out for each row that followed a parent, and was deleted or moved, whether the peer may have it. If the parent was not kept in sync, neither was the '
  'row, and the peer may have a row of its own under that key. Then a delete is removed, and a move is marked as one of a row that was outside. Parents come '
  'before the rows that follow them. This runs before any event of a parent is sent, and before a batch of the peer can delete a parent, because these events '
  'alone say that a parent was kept in sync. If it returns true, some rows are not weighed yet and nothing may be sent.';
