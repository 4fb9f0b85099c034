-- The control file shows a promotion only after the next checkpoint; the write-ahead log shows it at once.
create or replace function rowferry._database_identity()
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
    'system', (select system_identifier::text from pg_control_system()),
    'database', (select oid::text from pg_database where datname = current_database()),
    'timeline', case when not pg_is_in_recovery() then ('x' || substring(pg_walfile_name(pg_current_wal_lsn()) for 8))::bit(32)::integer::text end)
$$;
comment on function rowferry._database_identity() is
  'What tells this database from a restored, cloned or promoted one: system identifier, oid of the database and timeline of the write-ahead log that is '
  'being written.';
