create or replace function rowferry.require_core(
  p_version integer
)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if rowferry.version() < p_version then
    raise exception using errcode = 'RF007', message = 'this revision needs a newer schema of rowferry',
      detail = format('It needs version %s; installed is %s.', p_version, rowferry.version()), hint = 'Run: alembic upgrade head';
  end if;
end
$$;
comment on function rowferry.require_core(integer) is
  'Raises an error if the installed schema is older than a revision of the site needs. A revision of the site calls it in its first line: select '
  'rowferry.require_core(3);';
