-- Here as elsewhere sections are taken by their number: unnest() would copy all their values.
create or replace function rowferry._record_count(
  p_sections rowferry._section[]
)
returns bigint
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(sum(coalesce(cardinality((p_sections[i]).keys), 0) + coalesce(cardinality((p_sections[i]).gone), 0)
    + coalesce(cardinality((p_sections[i]).asked), 0)), 0)::bigint
  from generate_subscripts(p_sections, 1) i
$$;
comment on function rowferry._record_count(rowferry._section[]) is 'How many records sections hold.';
