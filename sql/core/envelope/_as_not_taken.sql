create or replace function rowferry._as_not_taken(
  p_section rowferry._section,
  p_why text,
  p_refusal jsonb default null
)
returns rowferry._not_taken[]
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select array(
    select row(p_section.entity, k.keys, p_why, p_refusal)::rowferry._not_taken
    from (select p_section.keys || p_section.gone || p_section.asked) k (keys)
    where k.keys <> '{}')
$$;
comment on function rowferry._as_not_taken(rowferry._section, text, jsonb) is
  'The records of a section as an entry of the list of records that were not taken.';
