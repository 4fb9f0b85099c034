-- The setting is looked at first, since that costs next to nothing. Anyone can turn it on, which is why the function has the last word.
create or replace function rowferry._guard()
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select '((current_setting(''rowferry.applying''::text, true) IS DISTINCT FROM ''on''::text) OR (NOT rowferry.is_applying()))'
$$;
comment on function rowferry._guard() is
  'The condition that attach() puts before that of a trigger, as PostgreSQL spells it: false exactly while rows of a peer are written.';
