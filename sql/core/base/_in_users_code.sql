create or replace function rowferry._in_users_code(
  p_context text
)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(split_part(p_context, 'PL/pgSQL function rowferry.', 1) ~ E'(^|\\n)(PL/\\w+|SQL) function ', false)
$$;
comment on function rowferry._in_users_code(text) is
  'Whether an error was raised while a function of a user''s ran that a function of rowferry''s had called. p_context is the call stack, innermost call '
  'first. One statement of ours runs the users'' triggers too, so the block that catches the error cannot tell the two apart: only the stack can.';
