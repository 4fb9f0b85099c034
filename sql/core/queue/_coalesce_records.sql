create or replace function rowferry._coalesce_records(
  p_peer text,
  p_entity_id integer,
  p_record_ids text[],
  p_most_events integer
)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  v_sent int8multirange := rowferry._sent_ids(p_peer);
  v_following constant boolean := (select e.within is not null from rowferry.entities e where e.id = p_entity_id);
  v_ids bigint[];
begin
  select array_agg(n.id) into v_ids
  from (
    select l.id, row_number() over (partition by l.record_id, l.leaves order by l.stamp desc, l.id desc) as place
    from (
      select e.record_id, e.id, e.stamp, v_following and e.event_type not in ('i', 'u') as leaves
      from rowferry._queue e
      where e.entity_id = p_entity_id and rowferry._index_key(e.record_id) = any (rowferry._index_keys(p_record_ids)) and e.event_type not in ('q', 'w')
        and e.place is null and not e.id <@ v_sent and not e.held and not e.skipped
      limit p_most_events
    ) l
  ) n
  where n.place > 1;
  perform rowferry._remove_superseded(v_ids);
  return coalesce(cardinality(v_ids), 0);
end
$$;
comment on function rowferry._coalesce_records(text, integer, text[], integer) is
  'Does what _coalesce() does, for records of which _read_batch() met too many events, wherever in the queue these are; looks at p_most_events of them at '
  'most. Returns how many it removed.';
