create or replace function rowferry._session(
  p_pid integer
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce((
    select format('pid %s', a.pid) || coalesce(' of ' || a.usename, '') || coalesce(' on ' || host(a.client_addr), '')
      || coalesce(', ' || nullif(a.application_name, ''), '') || coalesce(', ' || a.state, '')
      || case when a.backend_type is null then ' (grant pg_read_all_stats to rowferry_owner; shows since when and its statement)'
        else coalesce(': ' || nullif(left(regexp_replace(a.query, E'\\s+', ' ', 'g'), 60), ''), '') end
    from pg_stat_activity a
    where a.pid = p_pid), format('pid %s, gone since', p_pid))
$$;
comment on function rowferry._session(integer) is
  'A session in words, as far as rowferry_owner may see it: without pg_read_all_stats neither its state nor its statement.';
