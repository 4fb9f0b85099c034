create or replace function rowferry._acked_ids(
  p_acks jsonb
)
returns int8multirange
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(range_agg(r), '{}')
  from jsonb_array_elements(p_acks) a
  cross join lateral unnest((a ->> 'ids')::int8multirange) r
$$;
comment on function rowferry._acked_ids(jsonb) is 'All event ids in the acknowledgements of an envelope.';
