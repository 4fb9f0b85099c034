-- What somebody granted or revoked since the release. Who may execute a function without being named, and what the roles cannot do without, _check_rights() says.
create or replace function rowferry._check_grants()
returns table (
  severity text,
  object text,
  problem text,
  fix text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case when m.now then 'warning' else 'error' end, m.object, f.problem, f.fix
  from (
    select object, grantee, privilege, c.now is not null as now, r.before is not null as before
    from (select c.*, true as now from rowferry._rights() c) c
    full join (select r.*, true as before from rowferry.released_rights r) r using (object, grantee, privilege)
  ) m
  cross join lateral (
    select format('no release gave %s to %s', m.privilege, m.grantee), format('revoke %s on %s from %s;', lower(m.privilege), m.object, m.grantee)
    where not m.before and not (m.grantee = 'public' and m.privilege = 'EXECUTE')
    union all
    select format('%s has lost %s', m.grantee, m.privilege), format('grant %s on %s to %s;', lower(m.privilege), m.object, m.grantee)
    where not m.now and m.object <> 'schema rowferry' and m.object not like 'function rowferry.process_batch(%'
      and (m.object not like 'function %' or to_regprocedure(substr(m.object, 10)) is not null)
  ) f (problem, fix)
  where exists (select from rowferry.released_rights)
$$;
comment on function rowferry._check_grants() is 'For check(): what was granted or revoked since the release.';
revoke all on function rowferry._check_grants() from public;
