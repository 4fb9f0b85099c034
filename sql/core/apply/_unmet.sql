-- Those of p_needs that are left once a section has been written with what it needs (p_written, from _needs_of).
create or replace function rowferry._unmet(
  p_needs jsonb,
  p_section rowferry._section,
  p_written jsonb
)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(n), '[]')
  from jsonb_array_elements(p_needs) n
  where (n ->> 2, n ->> 3) not in (select w ->> 2, w ->> 3 from jsonb_array_elements(p_written) w)
    and (n ->> 2, n ->> 3) not in (select p_section.entity, k from unnest(p_section.keys || p_section.gone) k)
$$;
comment on function rowferry._unmet(jsonb, rowferry._section, jsonb) is 'What rows still need once a section has been written.';
