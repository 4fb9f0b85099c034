-- How many records these entries, made by _left_entries(), stand for.
create or replace function rowferry._left_count(
  p_left jsonb
)
returns integer
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(sum(coalesce((l ->> 'count')::integer, 1)), 0)::integer from jsonb_array_elements(p_left) l
$$;
comment on function rowferry._left_count(jsonb) is 'How many records were left.';
