create or replace function rowferry._is_transient(
  p_sqlstate text,
  p_context text
)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select left(p_sqlstate, 2) in ('08', '40', '53', '57', '58')
    and not (rowferry._in_users_code(p_context)
      and (left(p_sqlstate, 2) in ('08', '53', '58') or split_part(p_context, E'\n', 1) ~ ' RAISE$'))
$$;
comment on function rowferry._is_transient(text, text) is
  'Whether an error says nothing about a row (connection, rollback, resources, operator, system), so that the envelope is tried again as it is. If a '
  'user''s function was at work, a lack of resources, a system error and a failed connection are its own and do say something about the row, and so does '
  'any error that it raises explicitly. p_context is the call stack, see _in_users_code().';
