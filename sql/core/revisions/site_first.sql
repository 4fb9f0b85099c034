-- Runs first in a downgrade of core that the site's revisions depend on: these have to be downgraded before, which detaches what they attached.
do $$
declare
  v_site text[] := '{}';
begin
  if to_regclass('rowferry.alembic_version_site') is not null then
    select coalesce(array_agg(version_num::text), '{}') into v_site from rowferry.alembic_version_site;
  end if;
  if v_site <> '{}' then
    raise exception using errcode = 'RF034', message = 'revisions of the site are still applied', detail = array_to_string(v_site, ', '),
      hint = 'Downgrade them first: alembic -n site downgrade base; with -x force=true the changes that wait are given up.';
  end if;
end
$$;
