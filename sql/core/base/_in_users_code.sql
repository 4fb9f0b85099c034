-- Whether an error came out of a function of a user's that a function of rowferry's had called: p_context, the call stack with the innermost call first, shows one
-- before the first of rowferry's.
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
comment on function rowferry._in_users_code(text) is 'Whether an error came out of a function of a user''s.';
