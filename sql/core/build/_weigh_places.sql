-- Weighs the places of rows that follow a parent, and were deleted or moved: one whose parent was not kept in sync never was itself, and the peer may have a row of its own under that key. Such a delete is
-- taken out, and a move is noted as that of a row that was outside. Parents first. A parent that was not kept in sync is outside or gone, and no event says that it left: so this comes before any event of a
-- parent can go, and before one of the peer's takes a parent away. True: some are left to weigh, and nothing may go.
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
set enable_sort = off  -- in the order of events_placed, so that no other index serves
as $$
declare
  c_time constant interval := '0.1 s';
  c_most constant integer := 5000;
  v_began timestamptz := clock_timestamp();
  v_entity rowferry.entities;
  v_parent rowferry.entities;
  v_ids bigint[];
  v_places text[];
  v_there text[];
  v_state text;
  v_context text;
begin
  v_ids := array(select e.id from rowferry.events e where e.place is not null and (e.event_type = 'd' or e.place <> '{}') order by e.entity_id, e.id + 0 limit 1);
  if v_ids = '{}' then
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
        select e.id, e.place from rowferry.events e
        where e.entity_id = v_entity.id and e.place is not null and (e.event_type = 'd' or e.place <> '{}') order by e.id + 0 limit c_most
      ) e;
      exit when v_ids is null;
      if clock_timestamp() - v_began > c_time then
        return true;
      end if;
      begin
        v_there := case when v_parent.id is null then v_places else rowferry._may_be_there(v_parent, coalesce(v_places, '{}')) end;
      exception
        -- A table that was altered or dropped here: then the peer hears of all.
        when others or assert_failure then
          get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context;
          if rowferry._stops_every_table(v_state, v_context) then
            raise;
          end if;
          v_there := v_places;
      end;
      -- With what was written before: of a row that is gone the peer would take that for a delete.
      with dropped as (
        delete from rowferry.events e
        where e.id = any (v_ids) and e.event_type = 'd' and v_parent.id is not null and (e.place[1] in (select unnest(v_there))) is not true
        returning e.record_id, e.id
      )
      delete from rowferry.events e
      using dropped d
      where e.entity_id = v_entity.id and rowferry._index_key(e.record_id) = rowferry._index_key(d.record_id) and e.id + 0 < d.id and e.event_type in ('i', 'u');
      update rowferry.events e set place = case when v_parent.id is not null and (e.place[1] in (select unnest(v_there))) is not true then '{}'::text[] end where e.id = any (v_ids);
    end loop;
  end loop;
  return false;
end
$$;
comment on function rowferry._weigh_places(text) is 'Takes out deletes of rows that never were kept in sync. True: some are left to weigh.';
