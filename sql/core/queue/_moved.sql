create or replace function rowferry._moved(
  p_entity_ids integer[],
  p_limit integer
)
returns table (
  id bigint,
  entity_id integer,
  record_id text
)
language sql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
set enable_sort = off  -- so that the index events_of_kind is used, which has this order
as $$
  select m.*
  from unnest(p_entity_ids) n
  cross join lateral (
    select q.id, q.entity_id, q.record_id
    from rowferry._queue q
    where q.moved and not q.placed and q.entity_id = n and not q.skipped and not exists (select from rowferry.moves m where m.event_id = q.id)
    order by q.id + 0
    limit p_limit
  ) m
  order by m.id
  limit p_limit
$$;
comment on function rowferry._moved(integer[], integer) is
  'Events of rows that moved (type w) and are to be looked at, oldest first: not those that are skipped, nor those whose followers are being queued in '
  'portions.';
