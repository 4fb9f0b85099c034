-- What somebody made, gave away, granted or revoked since the release, or since attach(). Who may execute a function without being named, and what the roles cannot do
-- without, _check_rights() says.
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
  left join rowferry.released_rights o on o.object = m.object and o.privilege = 'OWNER'
  cross join lateral (
    select format('no release gave %s to %s', m.privilege, m.grantee), format('revoke %s on %s from %s;', lower(m.privilege), m.object, m.grantee)
    where not m.before and m.privilege <> 'OWNER' and not (m.grantee = 'public' and m.privilege = 'EXECUTE')
    union all
    select format('%s has lost %s', m.grantee, m.privilege), format('grant %s on %s to %s;', lower(m.privilege), m.object, m.grantee)
    where not m.now and m.privilege <> 'OWNER' and m.object <> 'schema rowferry' and m.object not like 'function rowferry.process_batch(%'
      and (m.object not like 'function %' or to_regprocedure(substr(m.object, 10)) is not null)
    union all
    select format('it belongs to %s, not to %s', m.grantee, o.grantee), format('alter %s owner to %s;', m.object, o.grantee)
    where not m.before and m.privilege = 'OWNER' and o.object is not null
    union all
    select 'no release made it', format('drop %s;', m.object)
    where not m.before and m.privilege = 'OWNER' and o.object is null
  ) f (problem, fix)
  where exists (select from rowferry.released_rights)
  union all
  select 'warning', g.object, format('attach() did not give %s to %s', a.privilege_type, n.name), format('revoke %s on %s from %s;', lower(a.privilege_type), g.object, n.name)
  from (
    select format('function %s', p.oid::regprocedure), p.proowner, p.proacl, array[f.belongs_to, f.caller]
    from rowferry._generated_functions() f
    join pg_proc p on p.oid = f.function
    union all
    select format('table %s', v.oid::regclass), v.relowner, v.relacl, array['rowferry_owner'::regrole, 'rowferry_viewer'::regrole]::oid[]
    from rowferry.entities e
    join pg_class v on v.relnamespace = 'rowferry'::regnamespace and v.relname = rowferry._object_name('', e.name, '_events')
  ) g (object, owner, rights, expected)
  cross join lateral aclexplode(g.rights) a
  cross join lateral (select a.grantee::regrole::text) n (name)
  where a.grantee <> g.owner and a.grantee <> 0 and a.grantee <> all (g.expected)
  union all
  select 'error', format('table %s', v.oid::regclass), 'rowferry_viewer has lost SELECT', format('grant select on %s to rowferry_viewer;', v.oid::regclass)
  from rowferry.entities e
  join pg_class v on v.relnamespace = 'rowferry'::regnamespace and v.relname = rowferry._object_name('', e.name, '_events')
  where not has_table_privilege('rowferry_viewer', v.oid, 'select')
$$;
comment on function rowferry._check_grants() is 'For check(): what was made, given away, granted or revoked since the release or attach().';
revoke all on function rowferry._check_grants() from public;
