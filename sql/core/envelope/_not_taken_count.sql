create or replace function rowferry._not_taken_count(
  p_left jsonb
)
returns integer
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(sum(coalesce((l ->> 'count')::integer, 1)), 0)::integer from jsonb_array_elements(p_left) l
$$;
comment on function rowferry._not_taken_count(jsonb) is 'How many records stand in a list of records that were not taken, as _as_not_taken() makes it.';
