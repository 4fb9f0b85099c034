create or replace function rowferry._sent_ids(
  p_peer text,
  p_in_flight boolean default false
)
returns int8multirange
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(range_agg(r), '{}')
  from rowferry.built_batches b
  cross join lateral unnest(b.ids) r
  where b.peer = p_peer and (b.in_flight or not p_in_flight)
$$;
comment on function rowferry._sent_ids(text, boolean) is
  'Ids of all events that were sent to a peer and are not acknowledged. With p_in_flight only of those whose acknowledgement the present exchange waits for.';
