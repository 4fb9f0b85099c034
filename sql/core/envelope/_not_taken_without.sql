create or replace function rowferry._not_taken_without(
  p_left rowferry._not_taken[],
  p_taken rowferry._section[]
)
returns rowferry._not_taken[]
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  with taken (entity, record_id) as materialized (
    select (p_taken[i]).entity, k
    from generate_subscripts(p_taken, 1) i
    cross join lateral unnest((p_taken[i]).keys || (p_taken[i]).gone || (p_taken[i]).asked) k
  )
  select array(
    select row(l.entity, k.keys, l.why, l.refusal)::rowferry._not_taken
    from unnest(p_left) with ordinality l (entity, records, why, refusal, place)
    cross join lateral (
      select array(select r from unnest(l.records) r where (l.entity, r) not in (select t.entity, t.record_id from taken t))
    ) k (keys)
    where k.keys <> '{}'
    order by l.place)
$$;
comment on function rowferry._not_taken_without(rowferry._not_taken[], rowferry._section[]) is
  'The list of records that were not taken, without the records of some sections.';
