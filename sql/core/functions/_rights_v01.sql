-- Who may do what with the schema and with what is in it, owners left out, and what attach() makes and gives: the functions and the view of an entity, and what the
-- owner of its table needs.
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
  with objects (object, kind, owner, rights, attached) as (
    select 'schema rowferry', 'n', n.nspowner, n.nspacl, false
    from pg_namespace n
    where n.nspname = 'rowferry'
    union all
    select format('%s %s', case c.relkind when 'S' then 'sequence' else 'table' end, c.oid::regclass), case c.relkind when 'S' then 's' else 'r' end, c.relowner, c.relacl,
      c.relname = 'sync_events'
    from pg_class c
    where c.relnamespace = 'rowferry'::regnamespace and c.relkind in ('r', 'v', 'S') and c.relname not like 'alembic\_version\_%'
      and c.relname not in (select rowferry._object_name('', e.name, '_events') from rowferry.entities e)
    union all
    select format('function %s', p.oid::regprocedure), 'f', p.proowner, p.proacl, p.proname = '_refuse_truncate'
    from pg_proc p
    where p.pronamespace = 'rowferry'::regnamespace and p.oid not in (select rowferry._generated_functions())
  )
  select o.object, case a.grantee when 0 then 'public' else a.grantee::regrole::text end, a.privilege_type
  from objects o
  cross join lateral aclexplode(coalesce(o.rights, acldefault(o.kind::"char", o.owner))) a
  where a.grantee <> o.owner
    and not (o.attached and a.grantee in (select c.relowner from rowferry.entities e join pg_class c on c.oid = e.relation))
$$;
comment on function rowferry._rights() is 'Who may do what with the schema and what is in it.';
revoke all on function rowferry._rights() from public;
