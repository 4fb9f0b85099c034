create table rowferry.node (
  singleton boolean primary key default true check (singleton),
  name text not null,
  system_identifier text,
  database_oid oid,
  configured_at timestamptz,
  owner_may_dump boolean not null default true,
  retention interval default '90 days'
);
comment on table rowferry.node is 'Which node this database is: one row, written by alembic upgrade head.';
comment on column rowferry.node.singleton is 'Always true, so that there is one row at most.';
comment on column rowferry.node.name is 'Name of the node in alembic.ini.';
comment on column rowferry.node.system_identifier is 'Cluster in which it was configured; another one means that this is a copy.';
comment on column rowferry.node.database_oid is 'Database in which it was configured; another one means that this is a copy.';
comment on column rowferry.node.configured_at is 'When it was configured.';
comment on column rowferry.node.owner_may_dump is
  'Whether the owner of the database may read all that is in this schema in order to dump it; false for ever once a table of somebody else''s was attached.';
comment on column rowferry.node.retention is 'For how long decided conflicts and closed skips are kept; null: for ever. Set by set_retention().';
