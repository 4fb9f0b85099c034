create or replace function rowferry._server_not_tried(
  p_version integer
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select format('this server is PostgreSQL %s: this version of rowferry was tried on 14 to 18', p_version / 10000)
  where p_version / 10000 not between 14 and 18
$$;
comment on function rowferry._server_not_tried(integer) is
  'For check(): that rowferry''s tests have not been run on servers of this major version (as in server_version_num); null: they have.';
