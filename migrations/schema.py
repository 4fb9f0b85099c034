"""The schema rowferry before anything of ours is done in it: whether what is there is ours, and who else has rights on it.

Parts of PL/pgSQL blocks, run with search_path pinned. They look at nothing that somebody else may have made before it is known
whose it is: Alembic itself reads the version table, and a view of that name, or a trigger on it, would run with the rights of
whoever migrates.
"""

from __future__ import annotations

from typing import Any

import psycopg

# Where no revision of core is applied, or only a forged row says so, nothing may be in the schema but what a downgrade to
# base leaves. Where one is applied, all belongs to rowferry_owner, but for functions that attach() made. The version tables and
# the log have nothing on them that acts when they are read or written.
CHECK = """
  declare
    v_schema oid;
    v_owner text;
    v_rowferry_owner oid;
    v_user oid;
    v_kept oid[];
    v_traps text[];
    v_objects text[];
    v_installed boolean := false;
    v_generated text[] := '{}';
  begin
    v_schema := to_regnamespace('rowferry');
    v_rowferry_owner := (select r.oid from pg_roles r where r.rolname = 'rowferry_owner');
    v_user := (select r.oid from pg_roles r where r.rolname = current_user);
    v_owner := (select pg_get_userbyid(n.nspowner) from pg_namespace n where n.oid = v_schema);
    v_kept := array(
      select c.oid from pg_class c
      where c.relnamespace = v_schema and c.relkind = 'r' and (c.relname = 'migration_log' or c.relname ^@ 'alembic_version_')
        and c.relowner in (v_user, v_rowferry_owner));
    v_traps := array(
      select format('%s %s', i.type, i.identity)
      from (
        select 'pg_trigger'::regclass, t.oid from pg_trigger t where t.tgrelid = any (v_kept) and not t.tgisinternal
        union all
        select 'pg_rewrite'::regclass, r.oid from pg_rewrite r where r.ev_class = any (v_kept)
        union all
        select 'pg_policy'::regclass, p.oid from pg_policy p where p.polrelid = any (v_kept)
        union all
        select 'pg_constraint'::regclass, o.oid from pg_constraint o
        where o.contype in ('c', 'f', 't', 'x') and (o.conrelid = any (v_kept) or o.confrelid = any (v_kept))
        union all
        select 'pg_class'::regclass, h.inhrelid from pg_inherits h where h.inhparent = any (v_kept)
        union all
        -- An index or a default that calls what is not PostgreSQL's own.
        select d.classid, d.objid from pg_depend d
        where d.refclassid in ('pg_proc'::regclass, 'pg_operator'::regclass) and (
          d.classid = 'pg_class'::regclass and d.objid in (select x.indexrelid from pg_index x where x.indrelid = any (v_kept))
          or d.classid = 'pg_attrdef'::regclass and d.objid in (select a.oid from pg_attrdef a where a.adrelid = any (v_kept)))
      ) o (class, id)
      cross join lateral pg_identify_object(o.class, o.id, 0) i
      order by 1);
    if v_traps = '{}' and v_owner = 'rowferry_owner' and to_regclass('rowferry.alembic_version_core')::oid = any (v_kept) then
      if has_table_privilege('rowferry.alembic_version_core', 'select') then
        execute 'select exists (select from rowferry.alembic_version_core)' into v_installed;
      else
        v_installed := true;  -- what follows is refused by PostgreSQL
      end if;
      if v_installed and exists (
        select from pg_proc p
        where p.pronamespace = v_schema and p.proname = '_entity_functions' and p.proowner = v_rowferry_owner
          and has_function_privilege(p.oid, 'execute')
      ) then
        execute 'select array_agg(f.name) from rowferry.entities e cross join lateral rowferry._entity_functions(e) f'
          into v_generated;
      end if;
    end if;
    v_objects := v_traps || array(
      select format('%s %s of %s', i.type, i.identity, quote_ident(pg_get_userbyid(o.owner)))
      from (
        -- What belongs to the first superuser has no row there.
        select d.classid, d.objid, coalesce((
          select s.refobjid from pg_shdepend s
          where s.dbid = (select b.oid from pg_database b where b.datname = current_database())
            and s.classid = d.classid and s.objid = d.objid and s.objsubid = 0
            and s.refclassid = 'pg_authid'::regclass and s.deptype = 'o'), 10) as owner
        from pg_depend d
        where d.refclassid = 'pg_namespace'::regclass and d.refobjid = v_schema and d.deptype = 'n'
          and not (d.classid = 'pg_class'::regclass and d.objid = any (v_kept))
      ) o
      cross join lateral pg_identify_object(o.classid, o.objid, 0) i
      where not v_installed or o.owner <> v_rowferry_owner and not (o.classid = 'pg_proc'::regclass and exists (
        select from pg_proc p where p.oid = o.objid and p.proname = any (v_generated)))
      order by 1);
    if v_objects <> '{}' then
      raise exception using errcode = 'RF035', message = 'the schema rowferry holds objects that no revision made',
        detail = format('The schema belongs to %s. In it: %s%s.', quote_ident(v_owner), array_to_string(v_objects[:10], ', '),
          case when cardinality(v_objects) > 10 then format(' and %s more', cardinality(v_objects) - 10) else '' end),
        hint = 'Nothing was changed. Find out who made them and why, then ' || case when v_installed
          then 'drop them or move them to another schema: alter .. set schema ..;'
          else 'drop them, or all of it: drop schema rowferry cascade;' end;
    end if;
    if v_owner not in ('rowferry_owner', current_user) then
      raise exception using errcode = 'RF033', message = 'the schema rowferry belongs to somebody else',
        detail = format('It belongs to %s, who could put into it what then passes for rowferry''s.', quote_ident(v_owner)),
        hint = 'Nothing was changed. Find out who made it and why; if nobody needs it: drop schema rowferry;';
    end if;
  end;"""

# Whoever has been given rights by default privileges could make things in the schema before the first revision closes it.
CREATE = """
  if pg_is_in_recovery() or (select s.reset_val = 'on' from pg_settings s where s.name = 'default_transaction_read_only') then
    raise exception using errcode = '25006', message = 'this database takes no changes',
      detail = case when pg_is_in_recovery() then 'It is a standby.' else 'default_transaction_read_only is on.' end,
      hint = 'Nothing was changed. ' || case when pg_is_in_recovery() then 'Migrate its primary.'
        else 'If you want to change it nevertheless: export PGOPTIONS=''-c default_transaction_read_only=off'';' end;
  end if;
  if to_regnamespace('rowferry') is null then
    begin
      create schema rowferry;
    exception when insufficient_privilege then
      raise exception using errcode = 'RF033', message = 'the migrating user may not create the schema rowferry',
        hint = format('As the owner of the database run: grant create on database %I to %I;', current_database(), current_user);
    end;
  end if;
  declare
    v_grantee text;
  begin
    for v_grantee in
      select distinct case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end
      from pg_namespace n cross join lateral aclexplode(n.nspacl) a
      where n.nspname = 'rowferry' and a.grantee <> n.nspowner and a.privilege_type = 'CREATE'
        and pg_has_role(n.nspowner, 'usage')
    loop
      execute format('revoke all on schema rowferry from %s cascade', v_grantee);
    end loop;
  end;"""

# In each step's transaction: the version tables belong to rowferry_owner, so that each of its members may migrate, and nobody
# else has rights on them, whatever default privileges gave, but the database's owner who may dump them.
OWN_VERSION_TABLES = """do $rowferry$
declare
  v_statement text;
begin
  if exists (
    select from pg_catalog.pg_namespace n
    where n.nspname = 'rowferry' and pg_catalog.pg_get_userbyid(n.nspowner) = 'rowferry_owner'
      and pg_catalog.pg_has_role(n.nspowner, 'usage')
  ) then
    for v_statement in
      select pg_catalog.format('alter table rowferry.%I owner to rowferry_owner', c.relname)
      from pg_catalog.pg_class c
      where c.relnamespace = 'rowferry'::pg_catalog.regnamespace and c.relkind = 'r' and c.relname ^@ 'alembic_version_'
        and pg_catalog.pg_get_userbyid(c.relowner) <> 'rowferry_owner' and pg_catalog.pg_has_role(c.relowner, 'usage')
    loop
      execute v_statement;
    end loop;
  end if;
  for v_statement in
    select distinct pg_catalog.format('revoke all on rowferry.%I from %s cascade', c.relname,
      case a.grantee when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end)
    from pg_catalog.pg_class c cross join lateral pg_catalog.aclexplode(c.relacl) a
    where c.relnamespace = 'rowferry'::pg_catalog.regnamespace and c.relkind = 'r' and c.relname ^@ 'alembic_version_'
      and a.grantee <> c.relowner and pg_catalog.pg_has_role(c.relowner, 'usage')
  loop
    execute v_statement;
  end loop;
  if exists (
    select from pg_catalog.pg_proc p
    where p.pronamespace = 'rowferry'::pg_catalog.regnamespace and p.proname = '_let_dump'
      and pg_catalog.pg_has_role(p.proowner, 'usage')
  ) then
    perform rowferry._let_dump();
  end if;
end
$rowferry$;
"""


def identity(node: str, core_first: str | None = None) -> str:
    """Refuses another node's database, and one without rowferry, with the line that installs it (`core_first`). After CHECK."""
    core = f"""
    if to_regclass('rowferry.alembic_version_core') is not null then
      execute 'select exists (select from rowferry.alembic_version_core)' into v_core;
    end if;
    if not v_core then
      raise exception using errcode = 'RF045', message = 'rowferry itself is not installed here, and your revisions need it',
        hint = '{(core_first or "").replace("'", "''")}';
    end if;"""
    return f"""
  declare
    v_name text;
    v_core boolean := false;
  begin
    if to_regclass('rowferry.node') is not null then
      execute 'select name from rowferry.node' into v_name;
    end if;
    if v_name <> '{node}' then
      raise exception using errcode = 'RF006', message = format('this is the database of another node: %s', v_name),
        hint = 'The environment variable of {node} holds the connection string of another database, or alembic.ini another name: '
          || 'a node keeps its name until alembic downgrade base.';
    end if;{core if core_first else ""}
  end;"""


def check(connection: psycopg.Connection[Any], then: str) -> None:
    """Run CHECK and the block `then` on an autocommit connection. Both see one snapshot: another migration may commit
    meanwhile, and half of what it made would look like objects that no revision made."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        connection.execute(f"do $rowferry$ begin {CHECK}{then} end $rowferry$")
