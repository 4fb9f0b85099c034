create or replace function rowferry._plan_comment(
  p_text text
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select '-- ' || regexp_replace(p_text, '[[:cntrl:]]+', ' ', 'g')
$$;
comment on function rowferry._plan_comment(text) is 'A comment in SQL, of one line whatever the names in it hold.';
