-- The functions of other entities that a change of one makes otherwise, as DDL: those of parents that its rows follow or followed, and those of all whose rows follow it.
create or replace function rowferry._kin_sql(
  p_old rowferry.entities,
  p_new rowferry.entities
)
returns setof text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_entity rowferry.entities;
begin
  for v_entity in
    with recursive followers (name) as (
      select e.name from rowferry.entities e where e.within = p_new.name
      union
      select e.name from followers f join rowferry.entities e on e.within = f.name
    )
    select e.* from rowferry.entities e
    where e.name in (select f.name from followers f) or e.name in (p_old.within, p_new.within) and p_old.within is distinct from p_new.within
    order by e.id
  loop
    return query select rowferry._refresh_sql(v_entity);
  end loop;
end
$$;
comment on function rowferry._kin_sql(rowferry.entities, rowferry.entities) is 'The functions of other entities that a change of one makes otherwise, as DDL.';
revoke all on function rowferry._kin_sql(rowferry.entities, rowferry.entities) from public;
