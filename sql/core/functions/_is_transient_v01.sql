-- Errors that say nothing about a row: connection, transaction rollback, resources, operator intervention, system. The envelope is tried again as it is.
-- Raised by a user's trigger in so many words, they do say something about the row; so does a connection that such a trigger could not make.
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
    and (p_context is null or split_part(p_context, E'\n', 1) !~ ' at RAISE$' or p_context like 'PL/pgSQL function rowferry.%')
    and (p_context is null or p_sqlstate not like '08%' or split_part(p_context, 'PL/pgSQL function rowferry.', 1) !~ E'(^|\\n)PL/\\w+ function ')
$$;
comment on function rowferry._is_transient(text, text) is 'Whether an error says nothing about a row.';
revoke all on function rowferry._is_transient(text, text) from public;
