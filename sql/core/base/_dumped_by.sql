create or replace function rowferry._dumped_by()
returns regrole
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select r.oid::regrole
  from pg_database d
  join pg_roles r on r.oid = d.datdba
  join rowferry.node n on n.owner_may_dump
  where d.datname = current_database() and not r.rolsuper and not pg_has_role(r.oid, 'rowferry_owner', 'usage')
    and not exists (select from rowferry.entities e join pg_class c on c.oid = e.relation where not pg_has_role(r.oid, c.relowner, 'usage'))
$$;
comment on function rowferry._dumped_by() is
  'The owner of the database, if it may read all of rowferry''s tables so that its pg_dump works; else null. It may if it is no superuser (who needs no '
  'right) and every table that was ever attached belonged to it or to a role of which it is a member: so it learns nothing that it could not read anyway.';
