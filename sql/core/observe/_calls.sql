-- A constant of type regnamespace would make the view depend on the schema, as what no revision made does.
create or replace view rowferry._calls as
select 'call' as kind, p.proname::text as name, p.oid, obj_description(p.oid, 'pg_proc') as comment
from pg_proc p
where p.pronamespace = to_regnamespace('rowferry') and p.proname !~ '^_'
  and p.proname not in (select f.name from rowferry.entities e cross join lateral rowferry._entity_functions(e) f)
union all
select 'view', c.relname, c.oid, obj_description(c.oid, 'pg_class')
from pg_class c
where c.relnamespace = to_regnamespace('rowferry') and c.relkind in ('r', 'v') and c.relname !~ '^_'
  and has_table_privilege('rowferry_viewer', c.oid, 'select');
comment on view rowferry._calls is 'What people call and look at, for help().';
comment on column rowferry._calls.kind is 'call (a function) or view (also a table that people may read).';
comment on column rowferry._calls.name is 'Its name.';
comment on column rowferry._calls.oid is 'Its oid in pg_proc or pg_class.';
comment on column rowferry._calls.comment is 'What it is for.';
