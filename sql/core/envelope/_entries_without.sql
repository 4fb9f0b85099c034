create or replace function rowferry._entries_without(
  p_entries jsonb,
  p_taken rowferry._section[]
)
returns jsonb
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  with taken (entity, record_id) as materialized (
    select (p_taken[i]).entity, k
    from generate_subscripts(p_taken, 1) i
    cross join lateral unnest((p_taken[i]).keys || (p_taken[i]).gone || (p_taken[i]).asked) k
  )
  select coalesce(jsonb_agg(case when l.entry ? 'records'
    then l.entry || jsonb_build_object('records', k.keys::text, 'count', cardinality(k.keys)) else l.entry end order by l.place), '[]')
  from jsonb_array_elements(p_entries) with ordinality l (entry, place)
  cross join lateral (
    select array(
      select r
      from unnest(case when l.entry ? 'records' then (l.entry ->> 'records')::text[] else array[l.entry ->> 'record_id'] end) r
      where (l.entry ->> 'entity', r) not in (select t.entity, t.record_id from taken t))
  ) k (keys)
  where k.keys <> '{}'
$$;
comment on function rowferry._entries_without(jsonb, rowferry._section[]) is
  'A list of records that were not taken, as _as_not_taken() makes it, without the records of some sections.';
