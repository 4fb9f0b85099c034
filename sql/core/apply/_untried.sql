create or replace function rowferry._untried(
  p_sections rowferry._section[]
)
returns rowferry._not_taken[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select array(
    select e
    from generate_subscripts(p_sections, 1) i
    cross join lateral unnest(rowferry._as_not_taken(p_sections[i], 'untried')) e)
$$;
comment on function rowferry._untried(rowferry._section[]) is
  'All records of sections that there was no time to try, as a list of records that were not taken.';
