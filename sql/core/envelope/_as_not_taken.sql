create or replace function rowferry._as_not_taken(
  p_section rowferry._section,
  p_why jsonb default '{}'
)
returns jsonb
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when coalesce(k.keys, '{}') = '{}' then '[]'
    when p_why ?| array['apart', 'untried'] then
      jsonb_build_array(jsonb_build_object('entity', p_section.entity, 'records', k.keys::text, 'count', cardinality(k.keys)) || p_why)
    else (select jsonb_agg(jsonb_build_object('entity', p_section.entity, 'record_id', r) || p_why) from unnest(k.keys) r)
  end
  from (select p_section.keys || p_section.gone || p_section.asked) k (keys)
$$;
comment on function rowferry._as_not_taken(rowferry._section, jsonb) is
  'The records of a section as entries of the list of records that were not taken, each with p_why. There is one entry for each record. If the peer hears of '
  'none of them (p_why has "apart" or "untried"), there is one entry for all of them, because these may be many.';
