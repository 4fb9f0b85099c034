-- The functions of other entities that a change of one makes otherwise, as DDL.
create or replace function rowferry._kin_sql(
  p_old rowferry.entities,
  p_new rowferry.entities
)
returns setof text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select s.ddl
  from rowferry._kin(p_old, p_new) k
  cross join lateral rowferry._refresh_sql(k) s (ddl)
$$;
comment on function rowferry._kin_sql(rowferry.entities, rowferry.entities) is 'The functions of other entities that a change of one makes otherwise, as DDL.';
revoke all on function rowferry._kin_sql(rowferry.entities, rowferry.entities) from public;
