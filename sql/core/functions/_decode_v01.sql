-- Header and sections of an envelope. Whatever is not whole and unaltered is refused before anything of it is used; an envelope
-- of a later format is no error: o_format tells, and the sender keeps its events.
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
as $$
declare
  v_line text[];
  v_at integer;
  v_description jsonb;
  v_bytes integer[];
  v_parts text[];
  v_section rowferry._section;
begin
  v_line := regexp_match(encode(substring(p_envelope from 1 for 120), 'escape'), '^rowferry (\d{1,4}) ([0-9a-f]{64}) (\d{1,9})\n');
  if v_line is null then
    raise exception using errcode = 'RF004', message = 'this is not an envelope of rowferry',
      hint = 'Envelopes are made by rowferry.process_batch() on the peer; nothing was applied.';
  end if;
  o_format := v_line[1]::integer;
  if o_format > 1 then
    return;
  end if;
  v_at := position('\x0a'::bytea in p_envelope) + 1;
  if encode(sha256(substring(p_envelope from v_at)), 'hex') <> v_line[2] or v_line[3]::integer > octet_length(p_envelope) - v_at + 1 then
    raise exception using errcode = 'RF004', message = 'the envelope was altered or cut on its way',
      hint = 'Nothing was applied; the courier opens the exchange anew and the batch is built again.';
  end if;
  o_header := convert_from(substring(p_envelope from v_at for v_line[3]::integer), 'UTF8')::jsonb;
  v_at := v_at + v_line[3]::integer;
  o_sections := '{}';
  for v_description in select * from jsonb_array_elements(o_header -> 'sections') loop
    select array_agg(b::integer order by ord) into v_bytes from jsonb_array_elements_text(v_description -> 'bytes') with ordinality b (b, ord);
    select array_agg(case when b.bytes >= 0 then
        convert_from(substring(p_envelope from v_at + b.before for b.bytes), 'UTF8') end order by b.ord), v_at + sum(greatest(b.bytes, 0))
    into v_parts, v_at
    from (
      select bytes, ord, (sum(greatest(bytes, 0)) over (order by ord) - greatest(bytes, 0))::integer as before
      from unnest(v_bytes) with ordinality b (bytes, ord)
    ) b;
    v_section := row(v_description ->> 'entity', array(select jsonb_array_elements_text(v_description -> 'columns')),
      v_parts[1]::text[], v_parts[2]::text[], v_parts[3]::text[], v_parts[4]::text[], v_parts[5]::bigint[],
      v_parts[6]::timestamptz[], v_parts[7]::smallint[], v_parts[8:], null, array(select jsonb_array_elements_text(v_description -> 'key')),
      array(select jsonb_array_elements_text(v_description -> 'rules')));
    o_sections := o_sections || v_section;
  end loop;
end
$$;
comment on function rowferry._decode(bytea) is 'Opens an envelope; refuses what is not whole and unaltered.';
revoke all on function rowferry._decode(bytea) from public;
