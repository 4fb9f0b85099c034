create or replace function rowferry._plain_settings(
  p_settings text[]
)
returns text[]
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select array(
    select lower(split_part(s.setting, '=', 1)) || regexp_replace(substr(s.setting, strpos(s.setting, '=')), '"([a-z_][a-z0-9_]*)"', E'\\1', 'g')
    from unnest(p_settings) s (setting)
    order by 1)
$$;
comment on function rowferry._plain_settings(text[]) is
  'The settings of a function (proconfig) in one spelling and order. If quote_all_identifiers was on when a function was made, PostgreSQL stores '
  '"pg_catalog" in quotes for pg_catalog.';
