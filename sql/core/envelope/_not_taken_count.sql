create or replace function rowferry._not_taken_count(
  p_left rowferry._not_taken[]
)
returns integer
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(sum(cardinality(l.records)), 0)::integer from unnest(p_left) l
$$;
comment on function rowferry._not_taken_count(rowferry._not_taken[]) is 'How many records were not taken.';
