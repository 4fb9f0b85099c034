-- Errors that say nothing about a row: connection, transaction rollback, resources, operator intervention, system. The envelope is tried again as it is.
-- Where a function of a user's was at work (p_context shows it before any of rowferry's) a lack of resources, a system error or a failed connection is that
-- function's, and says something about its table; so does any error that it raises in so many words.
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
    and (p_context is null or split_part(p_context, E'\n', 1) !~ ' at RAISE$' or starts_with(p_context, 'PL/pgSQL function rowferry.'))
    and not (left(p_sqlstate, 2) in ('08', '53', '58') and rowferry._in_users_code(p_context))
$$;
comment on function rowferry._is_transient(text, text) is 'Whether an error says nothing about a row.';
