-- Schema, version tables and the log stay, so that the runner knows what is installed and people what was; roles stay, because other databases may use them.
do $$
declare
  v_left text;
begin
  select string_agg(pg_describe_object(d.classid, d.objid, d.objsubid), ', ' order by 1) into v_left
  from pg_catalog.pg_depend d
  where d.refclassid = 'pg_namespace'::regclass and d.refobjid = 'rowferry'::regnamespace and d.deptype = 'n'
    and not exists (
      select from pg_catalog.pg_class c
      where d.classid = 'pg_class'::regclass and c.oid = d.objid and (c.relname in ('node', 'migration_log') or c.relname like E'alembic\\_version\\_%')
    );
  if v_left is not null then
    raise exception using errcode = 'RF035', message = 'the schema rowferry holds objects that no revision made',
      detail = v_left,
      hint = 'Drop these objects or move them to another schema first. rowferry drops only its own objects.';
  end if;
end
$$;
drop table rowferry.node;
alter default privileges for role rowferry_owner grant execute on functions to public;
