create or replace function rowferry.drift()
returns table (
  object text,
  problem text,
  fix text
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set standard_conforming_strings = on
set jit = off
as $$
  select distinct on (c.object, c.problem) c.object, c.problem, c.fix
  from (
    select f.* from rowferry._check_functions(null) f
    union all
    select w.* from rowferry._check_own() w
    union all
    select c.* from rowferry._check_capture(null) c
    union all
    select r.* from rowferry._check_rights(null) r where r.object not like 'role %'
  ) c
  order by c.object, c.problem
$$;
comment on function rowferry.drift() is
  'What somebody changed by hand since the release or since attach(): functions, triggers, owners, rights, and rowferry''s own tables and views; each with '
  'what to type in psql to undo it.';
