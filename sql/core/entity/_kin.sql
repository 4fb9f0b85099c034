-- Other entities whose functions a change of one makes otherwise: parents that its rows follow or followed, and all whose rows follow it.
create or replace function rowferry._kin(
  p_old rowferry.entities,
  p_new rowferry.entities
)
returns setof rowferry.entities
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive followers (name) as (
    select e.name from rowferry.entities e where e.within = p_new.name
    union
    select e.name from followers f join rowferry.entities e on e.within = f.name
  )
  select e.* from rowferry.entities e
  where e.name in (select f.name from followers f) or e.name in (p_old.within, p_new.within) and p_old.within is distinct from p_new.within
  order by e.id
$$;
comment on function rowferry._kin(rowferry.entities, rowferry.entities) is 'Other entities whose functions a change of one makes otherwise.';
