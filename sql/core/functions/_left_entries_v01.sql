-- One entry per record of a section, for the list of records that were not taken.
create or replace function rowferry._left_entries(
  p_section rowferry._section,
  p_why jsonb default '{}'
)
returns jsonb
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object('entity', p_section.entity, 'record_id', k) || p_why), '[]')
  from unnest(p_section.keys || p_section.gone || p_section.asked) k
$$;
comment on function rowferry._left_entries(rowferry._section, jsonb) is 'List entries for the records of a section that were not taken.';
revoke all on function rowferry._left_entries(rowferry._section, jsonb) from public;
