create or replace function rowferry._needs_without(
  p_needs rowferry._need[],
  p_taken rowferry._section[]
)
returns rowferry._need[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select array(
    select n from unnest(p_needs) n
    where (n.needed_entity, n.needed_record_id) not in (
      select (p_taken[i]).entity, k
      from generate_subscripts(p_taken, 1) i
      cross join lateral unnest((p_taken[i]).keys || (p_taken[i]).gone) k))
$$;
comment on function rowferry._needs_without(rowferry._need[], rowferry._section[]) is
  'Needs without those for a record of these sections, which have been taken.';
