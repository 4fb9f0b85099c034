create or replace function rowferry._skip_waiting_runs(
  p_peer text,
  p_first_id bigint,
  out o_ids int8multirange,
  out o_from bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  c_step constant integer := 40000;
  c_few constant integer := 10000;  -- fewer ids than these are simply walked through
  c_run constant integer := 100;
  v_waiting integer[] := array(select e.id from rowferry.entities e where e.peer = p_peer and e.held_until = 'infinity');
  v_last_id bigint := pg_sequence_last_value('rowferry.events_id_seq');
  v_from bigint;
  v_to bigint;
begin
  o_ids := '{}';
  if v_waiting = '{}' then
    return;
  end if;
  v_from := greatest(p_first_id, 1 + (select min(coalesce(r.last_id, 0)) from unnest(v_waiting) w (id)
    left join rowferry.waiting_runs r on r.entity_id = w.id));
  if v_last_id - v_from >= c_few then
    v_to := least(v_last_id, v_from + c_step - 1);
    insert into rowferry.waiting_runs as r (entity_id, ids, last_id)
    select w.id, coalesce(range_agg(i.run), '{}'), v_to
    from unnest(v_waiting) w (id)
    left join (
      select n.entity_id, int8range(min(n.id), max(n.id), '[]') as run
      from (
        select e.entity_id, e.id, e.id - row_number() over (partition by e.entity_id order by e.id) as place
        from rowferry.events e
        where e.id between v_from and v_to and e.entity_id = any (v_waiting)
      ) n
      group by n.entity_id, n.place having count(*) >= c_run
    ) i on i.entity_id = w.id
    group by w.id
    on conflict (entity_id) do update set ids = r.ids + excluded.ids, last_id = excluded.last_id;
    o_from := nullif(v_to, v_last_id) + 1;
  end if;
  o_ids := coalesce((select range_agg(i) from rowferry.waiting_runs r cross join lateral unnest(r.ids) i where r.entity_id = any (v_waiting)), '{}')
    + case when o_from is null then '{}' else int8multirange(int8range(o_from, null)) end;
end
$$;
comment on function rowferry._skip_waiting_runs(text, bigint) is
  'Ids that no search for the next batch needs to walk through: long runs of events of entities that wait for a person. Such a run has no events of other '
  'entities, and ids are never used again, so what was found once stays true as long as its entity waits. It looks at 40,000 more ids in each call. Ids from '
  'o_from on are left to the next call, and are in o_ids too.';
