create or replace function rowferry._untried(
  p_sections rowferry._section[]
)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(e), '[]')
  from generate_subscripts(p_sections, 1) i
  cross join lateral jsonb_array_elements(rowferry._as_not_taken(p_sections[i], '{"untried": true}')) e
$$;
comment on function rowferry._untried(rowferry._section[]) is
  'Entries for the list of records that were not taken, for all records of sections that there was no time to try.';
