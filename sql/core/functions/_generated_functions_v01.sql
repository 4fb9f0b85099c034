-- Functions that attach() made: they differ from database to database and belong to no release.
create or replace function rowferry._generated_functions()
returns setof oid
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select p.oid
  from rowferry.entities e
  cross join lateral rowferry._entity_functions(e) f
  join pg_proc p on p.oid = to_regprocedure('rowferry.' || f.signature)
$$;
comment on function rowferry._generated_functions() is 'Functions that attach() made.';
revoke all on function rowferry._generated_functions() from public;
