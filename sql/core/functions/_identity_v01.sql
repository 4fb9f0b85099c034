-- What tells this database from a restored, cloned or promoted one.
create or replace function rowferry._identity()
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
    'system', (select system_identifier::text from pg_control_system()),
    'database', (select oid::text from pg_database where datname = current_database()),
    'timeline', (select timeline_id::text from pg_control_checkpoint()))
$$;
comment on function rowferry._identity() is 'System identifier, database oid and timeline of this database.';
revoke all on function rowferry._identity() from public;
