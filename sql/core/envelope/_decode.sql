create or replace function rowferry._decode(
  p_envelope bytea,
  out o_format integer,
  out o_header jsonb,
  out o_sections rowferry._section[]
)
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
  v_line text;  -- the format, the digest of what follows, the length of the header
  v_length integer;
  v_at integer;
  v_whole boolean;
  v_description record;
  v_bytes integer[];
  v_parts text[];
  v_part text;
  v_values text[];
  v_section rowferry._section;
begin
  v_line := encode(substring(p_envelope from 1 for 120), 'escape');
  if (v_line ~ E'^rowferry [0-9]{1,4} [0-9a-f]{1,16} [0-9]{1,9}\n') is not true then
    raise exception using errcode = 'RF004', message = 'this is not an envelope of rowferry',
      hint = 'Envelopes are made by rowferry.process_batch() on the peer; nothing was applied.';
  end if;
  v_line := split_part(v_line, E'\n', 1);
  o_format := split_part(v_line, ' ', 2)::integer;
  if o_format > 1 then
    return;
  end if;
  v_length := split_part(v_line, ' ', 4)::integer;
  v_at := octet_length(v_line) + 2;
  begin
    v_whole := to_hex(hashtextextended(convert_from(substring(p_envelope from v_at), 'UTF8') collate "C", 0)) = split_part(v_line, ' ', 3)
      and v_length <= octet_length(p_envelope) - v_at + 1;
  exception
    when data_exception then
      v_whole := false;
  end;
  if not v_whole then
    raise exception using errcode = 'RF004', message = 'the envelope was altered or cut on its way',
      hint = 'Nothing was applied; the worker opens the exchange again, and the batch is built again.';
  end if;
  begin
    o_header := convert_from(substring(p_envelope from v_at for v_length), 'UTF8')::jsonb;
    v_at := v_at + v_length;
    perform rowferry._check_header(o_header);
    o_sections := '{}';
    for v_description in
      select d.*
      from jsonb_to_recordset(o_header -> 'sections')
        d (entity text, columns text[], types text[], key text[], rules text[], created boolean, bytes integer[])
    loop
      v_bytes := v_description.bytes;
      v_parts := array_fill(null::text, array[7]);
      v_values := '{}';
      for i in 1 .. cardinality(v_bytes) loop
        if v_bytes[i] >= 0 then
          v_part := convert_from(substring(p_envelope from v_at for v_bytes[i]), 'UTF8');
          v_at := v_at + v_bytes[i];
        else
          v_part := null;
        end if;
        if i <= 7 then
          v_parts[i] := v_part;
        else
          v_values[i - 7] := v_part;
        end if;
      end loop;
      v_part := null;
      v_section := row(v_description.entity, v_description.columns,
        v_parts[1]::text[], v_parts[2]::text[], v_parts[3]::text[], coalesce(v_parts[4], v_parts[1])::text[], v_parts[5]::bigint[],
        array(select to_timestamp(s) from unnest(v_parts[6]::float8[]) s), v_parts[7]::smallint[], v_values, null,
        v_description.key, v_description.rules, v_description.created, v_description.types);
      -- One id stands for consecutive ids that begin with it, one stamp for all.
      if cardinality(v_section.event_ids) = 1 then
        v_section.event_ids := array(select v_section.event_ids[1] + n from generate_series(0, cardinality(v_section.event_keys) - 1) n);
      end if;
      if cardinality(v_section.event_stamps) = 1 then
        v_section.event_stamps := array_fill(v_section.event_stamps[1], array[cardinality(v_section.event_keys)]);
      end if;
      if v_section.entity is null or v_section.key is null or v_section.rules is null
        or array_ndims(v_section.types) > 1 or array_lower(v_section.types, 1) <> 1
        or cardinality(v_section.column_values) is distinct from cardinality(v_section.columns)
        or cardinality(v_section.types) is distinct from cardinality(v_section.columns) or array_position(v_section.types, null) is not null
        or v_section.keys is not null and array_position(v_section.column_values, null) is not null
        or cardinality(v_section.event_ids) is distinct from cardinality(v_section.event_keys)
        or cardinality(v_section.event_stamps) is distinct from cardinality(v_section.event_keys)
        or cardinality(v_section.event_hops) <> cardinality(v_section.event_keys)
        or (select count(*) from (select from unnest(v_section.keys || v_section.gone || v_section.asked) k group by k) d)
          <> coalesce(cardinality(v_section.keys || v_section.gone || v_section.asked), 0) then
        raise exception using errcode = '22023', message = 'a section is not whole, or names a record twice';
      end if;
      o_sections := o_sections || v_section;
    end loop;
    if v_at <> octet_length(p_envelope) + 1 then
      raise exception using errcode = '22023', message = 'the sections are shorter or longer than they say';
    end if;
  exception
    when data_exception or program_limit_exceeded or statement_too_complex then
      raise exception using errcode = 'RF004', message = 'the envelope is not well formed', detail = sqlerrm,
        hint = 'Nothing was applied. Envelopes are made by rowferry.process_batch() on the peer; look who else has the role rowferry_worker.';
  end;
end
$$;
comment on function rowferry._decode(bytea) is
  'Header and sections of an envelope. An envelope that is not whole and unaltered is refused (RF004) before anything of it is used. One of a later format '
  'is no error: only o_format is set, and the sender keeps its events.';
