create or replace function rowferry._let_dump()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
declare
  v_reader regrole := rowferry._dumped_by();
  v_statement text;
begin
  if v_reader is null and exists (
      select from rowferry.node n
      join pg_database d on d.datname = current_database()
      where n.owner_may_dump and exists (
        select from rowferry.entities e join pg_class c on c.oid = e.relation where not pg_has_role(d.datdba, c.relowner, 'usage'))) then
    update rowferry.node n set owner_may_dump = false;
  end if;
  for v_statement in
    select format(case when v_reader is null then 'revoke select on %s%s from %s' else 'grant select on %s%s to %s' end,
      case c.relkind when 'S' then 'sequence ' else '' end, c.oid::regclass, r.reader)
    from pg_class c
    cross join (select coalesce(v_reader, d.datdba::regrole) from pg_database d where d.datname = current_database()) r (reader)
    where c.relnamespace = 'rowferry'::regnamespace and c.relkind in ('r', 'S') and c.relowner <> r.reader
      and (v_reader is not null) <> exists (select from aclexplode(c.relacl) a where a.grantee = r.reader and a.privilege_type = 'SELECT')
    union all
    select format('grant usage on schema rowferry to %s', v_reader)
    where v_reader is not null and not has_schema_privilege(v_reader, 'rowferry', 'usage')
  loop
    execute v_statement;
  end loop;
end
$$;
comment on function rowferry._let_dump() is
  'Lets the database''s owner read all of rowferry''s tables. Once a table of somebody else was attached, whose rows are in conflicts and skips, the owner '
  'loses that right for ever, because such rows stay when the table is detached.';
