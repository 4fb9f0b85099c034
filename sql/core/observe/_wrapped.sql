create or replace function rowferry._wrapped(
  p_text text,
  p_width integer,
  p_indent text
)
returns setof text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select p_indent || btrim(m[1]) from regexp_matches(p_text, format('([^[:space:]].{0,%s})(?:[[:space:]]+|$)', p_width - 1), 'g') m
$$;
comment on function rowferry._wrapped(text, integer, text) is 'A text in lines of at most this many characters, each after the indent.';
