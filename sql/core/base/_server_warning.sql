create or replace function rowferry._server_warning(
  p_version integer
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select format('this server is PostgreSQL %s.%s: before %s.%s, MERGE may hide changes from capture', f.major, p_version % 10000, f.major, f.minor)
  from (values (15, 20), (16, 16), (17, 12), (18, 6)) f (major, minor)
  where p_version / 10000 = f.major and p_version % 10000 < f.minor
$$;
comment on function rowferry._server_warning(integer) is
  'What is wrong with a server of this version (as in server_version_num) that capture depends on; null: nothing known. MERGE could show a statement '
  'trigger the wrong rows before these minor versions (CVE-2026-116312).';
