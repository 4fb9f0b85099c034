-- Those of the records of which a change waits here that may be sent now, with others: it is not held, or due, or its parent has gone.
create or replace function rowferry._going(
  p_entity_ids integer[],
  p_record_ids text[]
)
returns table (
  entity_id integer,
  record_id text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
#variable_conflict use_column
begin
  return query
  select r.entity_id, r.record_id
  from unnest(p_entity_ids, p_record_ids) r (entity_id, record_id)
  join rowferry.entities n on n.id = r.entity_id
  where (n.held_until is null or n.held_until <= rowferry._now())
    and exists (
      select
      from rowferry.events e
      left join lateral (select * from rowferry.held_events v where v.event_id = e.id offset 0) h on true
      where e.entity_id = r.entity_id and rowferry._index_key(e.record_id) = rowferry._index_key(r.record_id)
        and (h.event_id is null or h.not_before <= rowferry._now() or h.not_before is null and exists (
          select from rowferry.missing_parents m
          where m.entity_id = h.parent_entity_id and rowferry._index_key(m.record_id) = rowferry._index_key(h.parent_record_id) and m.came
          offset 0))
      offset 0)
    and not exists (
      select
      from (select * from rowferry.held_events v where v.entity_id = r.entity_id and rowferry._index_key(v.record_id) = rowferry._index_key(r.record_id) offset 0) h
      where h.patience is not null);
end
$$;
comment on function rowferry._going(integer[], text[]) is 'Those of the records that may be sent now.';
