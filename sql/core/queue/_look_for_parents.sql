create or replace function rowferry._look_for_parents(
  p_peer text
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  v_now timestamptz := rowferry._now();
  v_due record;
  v_event_id bigint;
  v_mine constant integer[] := array(select n.id from rowferry.entities n where n.peer = p_peer);
begin
  if not exists (select from rowferry.missing_parents m where (m.came or m.not_before <= v_now) and m.entity_id = any (v_mine)) then
    return;
  end if;
  delete from rowferry.missing_parents m
  where (m.came or m.not_before <= v_now) and m.entity_id = any (v_mine) and not exists (
    select from rowferry.held_events h
    where h.parent_entity_id = m.entity_id and rowferry._index_key(h.parent_record_id) = rowferry._index_key(m.record_id) and h.parent_record_id is not null
    offset 0);
  -- One parent after the other: whatever the statistics say, one index finds the rows that wait for it.
  for v_due in
    select m.entity_id, m.record_id
    from rowferry.missing_parents m
    where not m.came and m.not_before <= v_now and m.entity_id = any (v_mine)
    order by m.not_before
    limit 500
  loop
    update rowferry.missing_parents m
    set attempts = m.attempts + 1, not_before = v_now + rowferry._back_off(m.attempts + 4)
    where m.entity_id = v_due.entity_id and rowferry._index_key(m.record_id) = rowferry._index_key(v_due.record_id);
    -- The peer has no parent that waits itself, unless it waits in a circle.
    continue when exists (
        select
        from rowferry._held_of_record(v_due.entity_id, v_due.record_id) h
        where h.parent_record_id is not null)
      and not exists (
        select from rowferry._parents_awaited(array[v_due.entity_id], array[v_due.record_id]) a
        where a.above_entity_id = v_due.entity_id and a.above_record_id = v_due.record_id);
    select h.event_id into v_event_id
    from rowferry.held_events h
    where h.parent_entity_id = v_due.entity_id and rowferry._index_key(h.parent_record_id) = rowferry._index_key(v_due.record_id)
      and h.parent_record_id is not null
    order by h.event_id + 0
    limit 1;
    update rowferry.held_events h set not_before = v_now where h.event_id = v_event_id;
  end loop;
end
$$;
comment on function rowferry._look_for_parents(text) is
  'Tries, now and then, one of the rows that wait for a parent: somebody may have made the parent on the peer by hand. Once that row has gone, all others '
  'follow. Forgets parents for which nothing waits any more.';
