-- Those of p_needs (from _needs) that concern a section's rows or what these need, directly or through others.
create or replace function rowferry._needs_of(
  p_section rowferry._section,
  p_needs jsonb
)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive needs (need, entity, record_id, needed_entity, needed_record_id) as materialized (
    select n, n ->> 0, n ->> 1, n ->> 2, n ->> 3 from jsonb_array_elements(p_needs) n
  ), reached (entity, record_id) as (
    select p_section.entity, k from unnest(p_section.keys || p_section.gone) k
    union
    select n.needed_entity, n.needed_record_id from reached r join needs n using (entity, record_id)
  )
  select coalesce(jsonb_agg(n.need), '[]') from needs n where (n.entity, n.record_id) in (select r.entity, r.record_id from reached r)
$$;
comment on function rowferry._needs_of(rowferry._section, jsonb) is 'What concerns a section''s rows of what rows need.';
