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
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $function$
begin
  return format($f$create or replace function rowferry.%I%s
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
    concat(rowferry._definer_check_sql(p_entity),
      -- Such a function may read a view of the table owner's with functions of theirs. Before PostgreSQL 18 the deferred triggers of what these write
      -- would fire with the rights of whoever called. So it is kept from writing by the body, which an owner cannot change, and not by a SET clause, which an
      -- owner could take off.
      case when p_reads then $f$  perform pg_catalog.set_config('transaction_read_only', 'on', true);
  -- A temporary table can be written all the same.
  if pg_catalog.pg_my_temp_schema() operator(pg_catalog.<>) 0
    and pg_catalog.current_setting('server_version_num')::pg_catalog.int4 operator(pg_catalog.<) 180000
    and exists (
      select from pg_catalog.pg_class c join pg_catalog.pg_trigger d on d.tgrelid operator(pg_catalog.=) c.oid
      where c.relnamespace operator(pg_catalog.=) pg_catalog.pg_my_temp_schema() and d.tgdeferrable) then
    raise exception using errcode = 'RF042', message = 'this session has a temporary table with deferrable constraints',
      hint = 'Before PostgreSQL 18 what these defer would fire with the rights of others: drop it, or do this in another session.';
  end if;
$f$ end, p_check),
    p_body,
    -- Only a block with a handler is a subtransaction, which alone can be made read-only; nothing raises this state.
    case when p_reads then E'exception\n  when sqlstate ''RF102'' then\n    raise;\n' end);
end
$function$;
comment on function rowferry._function_sql(rowferry.entities, text, text, text, text, text, boolean, boolean, text, text[]) is
  'DDL of one generated function of an entity; only this function says how such a function is made safe. p_signature has the parameters in parentheses, and '
  '"returns ..". The function runs with the rights of the table''s owner, prints and reads values in the same way under any settings of the caller, and '
  'first makes sure that the names in it still mean what they meant. With p_reads it cannot write anything.';
