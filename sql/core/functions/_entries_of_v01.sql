-- Those entries of a list of records that are of a section: not what came along because its rows need it, which has a turn of its own.
create or replace function rowferry._entries_of(
  p_section rowferry._section,
  p_entries jsonb
)
returns jsonb
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(case when l ? 'records' then l || jsonb_build_object('records', k.keys::text, 'count', cardinality(k.keys)) else l end), '[]')
  from jsonb_array_elements(p_entries) l
  cross join lateral (
    select array(
      select r
      from unnest(case when l ? 'records' then (l ->> 'records')::text[] else array[l ->> 'record_id'] end) r
      where r in (select unnest(p_section.keys || p_section.gone || p_section.asked)))
  ) k (keys)
  where l ->> 'entity' = p_section.entity and k.keys <> '{}'
$$;
comment on function rowferry._entries_of(rowferry._section, jsonb) is 'Those entries of a list of records that are of a section.';
revoke all on function rowferry._entries_of(rowferry._section, jsonb) from public;
