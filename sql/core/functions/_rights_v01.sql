-- Who may do what with the schema and with what is in it, and whom it belongs to (OWNER); left out are what attach() makes and gives: the functions and the view of
-- an entity, and what the owner of its table needs. Functions have their owner in _check_rights(); without its schema nothing here runs.
create or replace function rowferry._rights()
returns table (
  object text,
  grantee text,
  privilege text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with relations as (
    select c.oid, c.relowner, c.relacl, c.relname, format('%s %s', case c.relkind when 'S' then 'sequence' when 'v' then 'view' when 'c' then 'type' when 'm' then 'materialized view'
      when 'f' then 'foreign table' else 'table' end, c.oid::regclass) as object
    from pg_class c
    where c.relnamespace = 'rowferry'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c') and c.relname not like 'alembic\_version\_%'
      and c.relname not in (select rowferry._object_name('', e.name, '_events') from rowferry.entities e)
  ), objects (object, kind, owner, rights, attached) as (
    select 'schema rowferry', 'n', n.nspowner, n.nspacl, false
    from pg_namespace n
    where n.nspname = 'rowferry'
    union all
    -- GRANT knows views as tables.
    select regexp_replace(r.object, '^(materialized view|view|foreign table) ', 'table '), case when r.object like 'sequence %' then 's' else 'r' end, r.relowner, r.relacl,
      r.relname = 'sync_events'
    from relations r
    where r.object not like 'type %'
    union all
    select format('function %s', p.oid::regprocedure), 'f', p.proowner, p.proacl, p.proname = '_refuse_truncate'
    from pg_proc p
    where p.pronamespace = 'rowferry'::regnamespace and p.oid not in (select g.function from rowferry._generated_functions() g)
  ), given (object, owner, grantee, privilege, grantable, attached) as (
    select o.object, o.owner, a.grantee, a.privilege_type, a.is_grantable, o.attached
    from objects o
    cross join lateral aclexplode(coalesce(o.rights, acldefault(o.kind::"char", o.owner))) a
    union all
    select format('table %s', c.attrelid::regclass), r.relowner, a.grantee, format('%s (%I)', a.privilege_type, c.attname), a.is_grantable, false
    from relations r
    join pg_attribute c on c.attrelid = r.oid
    cross join lateral aclexplode(c.attacl) a
  )
  select g.object, case g.grantee when 0 then 'public' else g.grantee::regrole::text end, p.privilege
  from given g
  cross join lateral (select g.privilege union all select 'GRANT OPTION FOR ' || g.privilege where g.grantable) p (privilege)
  where g.grantee <> g.owner
    and not (g.attached and g.privilege in ('SELECT', 'EXECUTE') and not g.grantable and g.grantee in (select c.relowner from rowferry.entities e join pg_class c on c.oid = e.relation))
  union all
  select r.object, r.relowner::regrole::text, 'OWNER'
  from relations r
  -- The sequence of an identity column belongs to whom its table does.
  where not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = r.oid and d.deptype = 'i' and d.refobjsubid > 0)
  union all
  select format('type %s', t.oid::regtype), t.typowner::regrole::text, 'OWNER'
  from pg_type t
  where t.typnamespace = 'rowferry'::regnamespace and t.typtype in ('d', 'e', 'r')
$$;
comment on function rowferry._rights() is 'Who may do what with the schema and what is in it, and whom it belongs to.';
revoke all on function rowferry._rights() from public;
