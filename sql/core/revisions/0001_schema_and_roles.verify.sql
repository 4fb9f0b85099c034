-- The roles are there, the schema is theirs, and nobody else may use it.
select w.is_there, w.name
from (values
  (to_regclass('rowferry.node') is not null, 'table node'),
  (to_regclass('rowferry.migration_log') is not null, 'table migration_log'),
  ((select count(*) = 4 from pg_roles where rolname in ('rowferry_owner', 'rowferry_worker', 'rowferry_viewer', 'rowferry_operator')), 'the four roles'),
  (pg_has_role('rowferry_operator', 'rowferry_viewer', 'usage'), 'the operator as a viewer'),
  (pg_has_role('rowferry_owner', 'usage'), 'the migrating role as a member of rowferry_owner'),
  ((select nspowner = 'rowferry_owner'::regrole from pg_namespace where nspname = 'rowferry'), 'the schema as rowferry_owner''s'),
  (not exists (select from pg_namespace n cross join lateral aclexplode(n.nspacl) a where n.nspname = 'rowferry' and a.grantee = 0),
    'the schema closed to public')
) w (is_there, name);
