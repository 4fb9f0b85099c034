-- The first statements of a generated function that only reads: what it reads may be a view of the table owner's, with functions of theirs, and before PostgreSQL 18 what these write and
-- defer would fire with the rights of whoever called. A transaction can be made read-only for one subtransaction; so the function's block has a handler, of a state that nothing raises. The owner could
-- take a setting off a function, but cannot change its body.
create or replace function rowferry._read_only_sql(
  p_entity rowferry.entities
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $function$
  select rowferry._definer_check_sql(p_entity) || $f$  perform pg_catalog.set_config('transaction_read_only', 'on', true);
  -- A temporary table can be written all the same.
  if pg_catalog.pg_my_temp_schema() operator(pg_catalog.<>) 0 and pg_catalog.current_setting('server_version_num')::pg_catalog.int4 operator(pg_catalog.<) 180000
    and exists (
      select from pg_catalog.pg_class c join pg_catalog.pg_trigger d on d.tgrelid operator(pg_catalog.=) c.oid
      where c.relnamespace operator(pg_catalog.=) pg_catalog.pg_my_temp_schema() and d.tgdeferrable) then
    raise exception using errcode = 'RF042', message = 'this session has a temporary table with deferrable constraints',
      hint = 'Before PostgreSQL 18 what these defer would fire with the rights of others: drop it, or do this in another session.';
  end if;
$f$
$function$;
comment on function rowferry._read_only_sql(rowferry.entities) is 'The first statements of a generated function that only reads.';
