create or replace function rowferry._deletes_waiting(
  p_entity rowferry.entities,
  p_ids int8multirange,
  p_left_out int8multirange,
  p_enough numeric,
  out o_deletes bigint,
  out o_new bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  c_exact constant integer := 200000;  -- at most this many events are looked at record by record
  c_counted constant integer := 1000000;  -- at most this many deletes are counted
  c_run constant integer := 50;  -- ids looked at in one scan where it is estimated
  -- Only if rows follow others may an update or a move stand behind a delete of the same record, because the row is in sync again.
  v_types constant "char"[] := case when p_entity.within is not null or rowferry._is_followed(p_entity) then '{d,i,u,w}' else '{d,i}' end;
  v_every bigint;
begin
  if (select count(*) from (select from rowferry.events e where e.id >= lower(p_ids) and e.id < upper(p_ids) limit c_exact + 1) l) <= c_exact then
    -- A record that is new here and gone again is no loss, nor is one that was made again.
    select count(*) filter (where k.known and k.gone), count(*) filter (where k.made and not k.known and not k.gone) into o_deletes, o_new
    from (
      select coalesce(min(e.id) filter (where e.event_type = 'd') < min(e.id) filter (where e.event_type = 'i'), bool_or(e.event_type = 'd')) as known,
        coalesce(max(e.id) filter (where e.event_type = 'd') > max(e.id) filter (where e.event_type <> 'd'), bool_or(e.event_type = 'd')) as gone,
        bool_or(e.event_type = 'i') as made
      from unnest(p_ids) r
      cross join lateral (
        select e.id, e.event_type, e.record_id
        from rowferry.events e
        where e.id >= lower(r) and e.id < upper(r) and e.entity_id = p_entity.id and e.event_type = any (v_types) and e.hops = 0
          and not e.id <@ p_left_out
        offset 0) e
      group by e.record_id
    ) k;
    return;
  end if;
  o_new := 0;
  o_deletes := (
    select count(*)
    from (
      select from rowferry._queue q
      -- No place is left to weigh: _weigh_places() comes first.
      where q.entity_id = p_entity.id and q.event_type = 'd' and not q.placed and q.hops = 0 and q.id + 0 >= lower(p_ids) and q.id + 0 < upper(p_ids)
        and q.id <@ p_ids and not q.id <@ p_left_out
      limit c_counted) d);
  if o_deletes > p_enough then
    v_every := ceil((upper(p_ids) - lower(p_ids))::numeric / c_exact);
    select greatest(0, greatest(o_deletes, case when o_deletes = c_counted then v_every * count(*) filter (where e.event_type = 'd') end)
      - v_every * count(*) filter (where e.event_type = 'i'))
    into o_deletes
    from generate_series(lower(p_ids), upper(p_ids) - 1, c_run * v_every) s
    cross join lateral (
      select e.event_type
      from rowferry.events e
      where e.id >= s and e.id < s + c_run and e.entity_id = p_entity.id and e.event_type in ('d', 'i') and e.hops = 0
        and e.id <@ p_ids and not e.id <@ p_left_out
      offset 0) e;
  end if;
end
$$;
comment on function rowferry._deletes_waiting(rowferry.entities, int8multirange, int8multirange, numeric) is
  'How many records of an entity the events p_ids delete, and how many are new (o_new), without the events p_left_out. Up to 200,000 events are looked '
  'at record by record. In a longer queue the deletes are counted in their own index, up to 1,000,000; if these are more than p_enough, each insert '
  'makes up for one of them, and inserts and further deletes are estimated from every nth run of ids.';
