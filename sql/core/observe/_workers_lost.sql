-- Logins of workers that become another role as they connect (alter role .. set role, alter database .. set role), one that may not call process_batch().
create or replace function rowferry._workers_lost(
  out o_cause text,
  out o_object text,
  out o_next text
)
returns setof record
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format('%s becomes the role %I as it connects, which may not call process_batch()', coalesce('the worker''s login ' || quote_ident(l.rolname), 'every login'), r.rolname),
    coalesce('role ' || quote_ident(l.rolname), format('database %I', current_database())),
    concat_ws(' ', 'alter', case when l.oid is not null then 'role ' || quote_ident(l.rolname) when d.setdatabase = 0 then 'role all' else format('database %I', current_database()) end,
      case when l.oid is not null and d.setdatabase <> 0 then format('in database %I', current_database()) end, 'reset role;')
  from pg_db_role_setting d
  cross join lateral unnest(d.setconfig) c (setting)
  join pg_roles r on c.setting = 'role=' || r.rolname
  left join pg_roles l on l.oid = d.setrole
  where d.setdatabase in (0, (select b.oid from pg_database b where b.datname = current_database()))
    and (d.setrole = 0 or l.rolcanlogin and not l.rolsuper and pg_has_role(l.oid, 'rowferry_worker', 'member'))
    and not has_function_privilege(r.oid, 'rowferry.process_batch(text, text, bytea, integer, jsonb, boolean)', 'execute')
$$;
comment on function rowferry._workers_lost() is 'For why_stuck(): logins of workers that become a role which may not call process_batch().';
