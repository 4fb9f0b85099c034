create or replace function rowferry._note_release()
returns bigint
language sql
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
  with gone as (
    delete from rowferry.released r where to_regprocedure(r.function) is null
  ), noted as (
    insert into rowferry.released (function, digest)
    select p.oid::regprocedure::text, rowferry._function_digest(p.oid)
    from pg_proc p
    where p.pronamespace = 'rowferry'::regnamespace and p.oid not in (select g.function from rowferry._generated_functions() g)
    on conflict (function) do update set digest = excluded.digest
    returning 1
  ), objects_gone as (
    delete from rowferry.released_objects r
    where not exists (select from rowferry._own_objects() o where o.kind = r.kind and o.object = r.object and o.name is not distinct from r.name)
  ), objects_noted as (
    insert into rowferry.released_objects (kind, object, name, definition, make, mend, server)
    select o.kind, o.object, o.name, o.definition, o.make, o.mend, current_setting('server_version_num')::integer / 10000
    from rowferry._own_objects() o
    on conflict (kind, object, coalesce(name, '')) do update
    set definition = excluded.definition, make = excluded.make, mend = excluded.mend, server = excluded.server
  )
  select count(*) from noted
$$;
comment on function rowferry._note_release() is
  'The last statement of a revision that makes functions: it notes the functions and objects of this release, and check() finds what was changed since.';
