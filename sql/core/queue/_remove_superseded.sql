create or replace function rowferry._remove_superseded(
  p_ids bigint[]
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
begin
  if exists (select from rowferry.events e where e.id = any (p_ids) and e.event_type = 'd') then
    update rowferry.events k set event_type = 'u'
    from (
      select e.entity_id, e.record_id, max(e.id) as last_id, (array_agg(e.event_type order by e.id))[1] as first_type
      from rowferry.events e where e.id = any (p_ids)
      group by e.entity_id, e.record_id
    ) r
    where r.first_type <> 'i' and k.event_type = 'i'
      and rowferry._index_key(k.record_id) = rowferry._index_key(r.record_id) and k.entity_id = r.entity_id and k.id + 0 = (
      select n.id + 0 from rowferry.events n
      where rowferry._index_key(n.record_id) = rowferry._index_key(r.record_id) and n.entity_id = r.entity_id and n.id + 0 > r.last_id
        order by n.id + 0 limit 1);
  end if;
  delete from rowferry.events e where e.id = any (p_ids);
end
$$;
comment on function rowferry._remove_superseded(bigint[]) is
  'Removes events that a newer one of the same record makes superfluous. If the peer knows the record, the event that stays may not say that the record is '
  'new: the breaker, and people, would believe it.';
