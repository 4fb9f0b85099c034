-- The digest tells a cut or altered envelope, no more: sha256 would take as long as reading the rows.
create or replace function rowferry._encode(
  p_header jsonb,
  p_sections rowferry._section[]
)
returns bytea
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
set plan_cache_mode = force_generic_plan  -- a plan for each value would copy the value
as $$
declare
  v_section rowferry._section;
  v_descriptions jsonb := '[]';
  v_bytes jsonb;
  v_part text;
  v_values text;
  v_body text := '';
  v_header text;
begin
  foreach v_section in array p_sections loop
    -- unnest() stands in the select list: large values of a FROM item would go through a temporary file.
    select jsonb_agg(coalesce(octet_length(p.part), -1)), string_agg(p.part, '') into v_bytes, v_part
    from (
      -- Three shorter forms: no keys of events where these are the keys of the rows; the first id where the ids, which are in order, are consecutive; one
      -- stamp where all are equal.
      select unnest(array[v_section.keys::text, v_section.gone::text, v_section.asked::text, nullif(v_section.event_keys, v_section.keys)::text,
        case when v_section.event_ids[cardinality(v_section.event_ids)] - v_section.event_ids[1] = cardinality(v_section.event_ids) - 1
          then v_section.event_ids[1:1] else v_section.event_ids end::text,
        case when v_section.event_stamps[1] = all (v_section.event_stamps) then array[date_part('epoch', v_section.event_stamps[1])]
          else array(select date_part('epoch', s) from unnest(v_section.event_stamps) s) end::text,
        v_section.event_hops::text]) as part
      offset 0
    ) p;
    select v_bytes || coalesce(jsonb_agg(coalesce(octet_length(p.part), -1)), '[]'), string_agg(p.part, '') into v_bytes, v_values
    from (select unnest(v_section.column_values) as part offset 0) p;
    v_descriptions := v_descriptions || jsonb_build_object('entity', v_section.entity, 'columns', v_section.columns,
      'key', v_section.key, 'rules', v_section.rules, 'created', v_section.created, 'types', v_section.types, 'bytes', v_bytes);
    v_body := v_body || coalesce(v_part, '') || coalesce(v_values, '');
  end loop;
  v_header := (p_header || jsonb_build_object('sections', v_descriptions))::text;
  v_body := v_header || v_body;
  return convert_to(format(E'rowferry 1 %s %s\n', to_hex(hashtextextended(v_body collate "C", 0)), octet_length(v_header)) || v_body, 'UTF8');
end
$$;
comment on function rowferry._encode(jsonb, rowferry._section[]) is
  'Makes an envelope of a header and sections. Its first line has the format, the digest of all that follows the line, and the length of the header in '
  'bytes; then come the header and the parts of each section.';
