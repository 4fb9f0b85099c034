create or replace function rowferry._conflict_count(
  p_conflicts jsonb
)
returns integer
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(sum(cardinality((g ->> 'records')::text[])), 0)::integer from jsonb_array_elements(p_conflicts) g
$$;
comment on function rowferry._conflict_count(jsonb) is 'How many conflicts are in these groups, as _conflicts_between() makes them.';
