create or replace function rowferry._check_server()
returns setof rowferry._finding
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_collation text;
begin
  -- PostgreSQL 14 has no such function.
  if current_setting('server_version_num')::integer >= 150000 then
    execute 'select pg_database_collation_actual_version(d.oid) from pg_database d where d.datname = current_database()' into v_collation;
  end if;
  return query
  select case when w.used is null then 'info' else 'warning' end, 'server', w.problem || coalesce('; function ' || w.used || ' uses it', ''),
    'Update the server to its latest minor version, or use no MERGE on tables that are kept in sync.'
  from (values (rowferry._server_warning(current_setting('server_version_num')::integer), rowferry._merging_function())) w (problem, used)
  where w.problem is not null
  union all
  select 'info', 'server', rowferry._server_not_tried(current_setting('server_version_num')::integer),
    'Try your tables on it first. The CHANGELOG of a newer rowferry says whether its tests have run on this version.'
  where rowferry._server_not_tried(current_setting('server_version_num')::integer) is not null
  union all
  select 'warning', 'rowferry.events', 'autovacuum is off: what has left the queue is not cleaned up, and each call gets slower',
    case when o.off then 'alter table rowferry.events reset (autovacuum_enabled);'
      else 'alter system set autovacuum = on; alter system set track_counts = on; select pg_reload_conf();' end
  from (
    select exists (select from pg_class c cross join lateral pg_options_to_table(c.reloptions) p
      where c.oid = 'rowferry.events'::regclass and p.option_name = 'autovacuum_enabled' and not p.option_value::boolean) as off) o
  where o.off or current_setting('autovacuum') = 'off' or current_setting('track_counts') = 'off'
  union all
  select 'warning', format('database %I', d.datname),
    format('it was made with version %s of its collation, the system has %s: indexes over text may be out of order',
      to_jsonb(d) ->> 'datcollversion', v_collation),
    format('reindex database %I; alter database %I refresh collation version;', d.datname, d.datname)
  from pg_database d
  where d.datname = current_database() and to_jsonb(d) ->> 'datcollversion' <> v_collation;
end
$$;
comment on function rowferry._check_server() is 'For check(): what is wrong with this server and its settings.';
