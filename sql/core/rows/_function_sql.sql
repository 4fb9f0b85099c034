create or replace function rowferry._function_sql(
  p_entity rowferry.entities,
  p_prefix text,
  p_signature text,
  p_body text,
  p_declare text default '',
  p_check text default '',
  p_reads boolean default true,
  p_stable boolean default true,
  p_path text default 'pg_catalog, pg_temp',
  p_settings text[] default '{row_security = off}'
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $function$
  select format($f$create or replace function rowferry.%I%s
language plpgsql%s
security definer
set search_path = %s
set %s
as $rowferry$
#variable_conflict use_column
%sbegin
%s%s%send
$rowferry$$f$,
    rowferry._generated_name(p_prefix, p_entity.name), p_signature, case when p_stable then E'\nstable' end, p_path,
    array_to_string(p_settings || array['datestyle = ''ISO, YMD''', 'intervalstyle = ''postgres''', 'timezone = ''UTC''', 'extra_float_digits = 1',
      'bytea_output = ''hex''', 'lc_monetary = ''C''', 'xmloption = ''content''', 'array_nulls = on'], E'\nset '),
    E'declare\n' || nullif(p_declare, ''),
    concat(case when p_reads then rowferry._read_only_sql(p_entity) else rowferry._definer_check_sql(p_entity) end, p_check),
    p_body,
    -- Only a block with a handler is a subtransaction, which alone can be made read-only; nothing raises this state.
    case when p_reads then E'exception\n  when sqlstate ''RF102'' then\n    raise;\n' end)
$function$;
comment on function rowferry._function_sql(rowferry.entities, text, text, text, text, text, boolean, boolean, text, text[]) is
  'DDL of one generated function of an entity: the one place that says how such a function is made safe. p_signature: parameters in parentheses, and "returns '
  '..". The function runs with the rights of the table''s owner, prints and reads values in the same way under any settings of the caller, and first makes '
  'sure that the names in it still mean what they meant. With p_reads it can write nothing.';
