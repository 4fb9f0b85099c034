-- The server writes the stack in the language of lc_messages, as in "PL/pgSQL-Funktion app.f() Zeile 3 bei RAISE". So a line is told by what no
-- language changes: the name of the language of the function, and the name of our schema.
create or replace function rowferry._in_users_code(
  p_context text
)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce((
    select l.line !~ E'^\\w* ?PL/pgSQL\\W?\\w* ?\\mrowferry\\.\\w+\\('
    from regexp_split_to_table(p_context, E'\\n') with ordinality l (line, place)
    where l.line ~ E'^\\w* ?PL/\\w+|^SQL[- ][Ff]un|^f\\w+ SQL '
    order by l.place
    limit 1), false)
$$;
comment on function rowferry._in_users_code(text) is
  'Whether an error was raised while a function of a user''s ran that a function of rowferry''s had called. p_context is the call stack, innermost call '
  'first. One statement of ours runs the users'' triggers too, so the block that catches the error cannot tell the two apart: only the stack can.';
