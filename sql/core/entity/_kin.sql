create or replace function rowferry._kin(
  p_old rowferry.entities,
  p_new rowferry.entities
)
returns setof rowferry.entities
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select e.*
  from rowferry.entities e
  where e.name in (select f.o_name from rowferry._with_followers(p_new.name) f where f.o_depth > 0)
    or e.name in (p_old.within, p_new.within) and p_old.within is distinct from p_new.within
  order by e.id
$$;
comment on function rowferry._kin(rowferry.entities, rowferry.entities) is
  'Other entities whose generated functions change with those of an entity: parents that its rows follow or followed, and all entities whose rows follow '
  'it.';
