-- How many records sections hold.
create or replace function rowferry._record_count(
  p_sections rowferry._section[]
)
returns bigint
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(sum(coalesce(cardinality(s.keys), 0) + coalesce(cardinality(s.gone), 0) + coalesce(cardinality(s.asked), 0)), 0)::bigint
  from unnest(p_sections) s
$$;
comment on function rowferry._record_count(rowferry._section[]) is 'How many records sections hold.';
revoke all on function rowferry._record_count(rowferry._section[]) from public;
