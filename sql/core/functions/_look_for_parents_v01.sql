-- Tries, now and then, one of the rows that wait for a parent: somebody may have made it on the peer by hand. Once it has gone, all others follow. A parent for which nothing waits any more is forgotten.
create or replace function rowferry._look_for_parents(
  p_peer text
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  v_now timestamptz := rowferry._now();
begin
  if not exists (select from rowferry.missing_parents m where m.came or m.not_before <= v_now) then
    return;
  end if;
  delete from rowferry.missing_parents m
  where (m.came or m.not_before <= v_now) and not exists (
    select from rowferry.held_events h
    where h.parent_entity_id = m.entity_id and rowferry._index_key(h.parent_record_id) = rowferry._index_key(m.record_id) and h.parent_record_id is not null);
  with due as (
    select m.entity_id, m.record_id
    from rowferry.missing_parents m
    join rowferry.entities n on n.id = m.entity_id and n.peer = p_peer
    where not m.came and m.not_before <= v_now
    order by m.not_before
    limit 500
  ), looked as (
    update rowferry.missing_parents m
    set attempts = m.attempts + 1, not_before = v_now + least(power(2, least(m.attempts, 10) + 4), 300) * interval '1 s'
    from due d
    where m.entity_id = d.entity_id and rowferry._index_key(m.record_id) = rowferry._index_key(d.record_id)
    returning m.entity_id, m.record_id
  )
  update rowferry.held_events h set not_before = v_now
  from looked l
  where h.event_id = (
      select w.event_id
      from rowferry.held_events w
      where w.parent_entity_id = l.entity_id and rowferry._index_key(w.parent_record_id) = rowferry._index_key(l.record_id) and w.parent_record_id is not null
      order by w.event_id
      limit 1)
    -- A parent that waits itself is not there, unless it waits in a circle.
    and not exists (
      select from rowferry.held_events w
      where w.entity_id = l.entity_id and rowferry._index_key(w.record_id) = rowferry._index_key(l.record_id) and w.parent_record_id is not null
        and not exists (
          select from rowferry._parents_awaited(array[l.entity_id], array[l.record_id]) a
          where a.above_entity_id = l.entity_id and a.above_record_id = l.record_id));
end
$$;
comment on function rowferry._look_for_parents(text) is 'Tries one of the rows that wait for a parent.';
revoke all on function rowferry._look_for_parents(text) from public;
