create or replace function rowferry._users_timeout()
returns interval
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select min(case when v.parts is null then interval '1 ms' else v.parts[1]::float8 * ('1 ' || replace(coalesce(v.parts[2], 'ms'), 'd', 'day'))::interval end)
  from pg_db_role_setting s
  cross join unnest(s.setconfig) c
  cross join lateral (select regexp_match(substring(c from 18), '^ *([0-9]{1,9}(?:[.][0-9]+)?) *(us|ms|s|min|h|d)? *$')) v (parts)
  where s.setdatabase in (0, (select d.oid from pg_database d where d.datname = current_database())) and c like 'deadlock_timeout=%'
$$;
comment on function rowferry._users_timeout() is
  'The shortest deadlock_timeout that a role or this database has of its own; null: none has one. One that cannot be read counts as the shortest.';
