create or replace function rowferry._cycle(
  p_entity rowferry.entities
)
returns setof rowferry.entities
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  with recursive nodes as (
    select e.* from rowferry.entities e where e.peer = p_entity.peer and e.id <> p_entity.id and e.direction <> 'send'
    union all
    select p_entity.* where p_entity.direction <> 'send'  -- it may be about to be attached
  ), edges as materialized (
    select distinct c.id as child, p.id as parent
    from nodes c
    join rowferry._foreign_keys f on f.relation = c.relation and f.parent_relation <> f.relation and not f.deferrable
    join nodes p on p.relation = f.parent_relation
  ), needs (id) as (
    select e.parent from edges e where e.child = p_entity.id
    union
    select e.parent from needs n join edges e on e.child = n.id
  ), needed_by (id) as (
    select e.child from edges e where e.parent = p_entity.id
    union
    select e.child from needed_by n join edges e on e.parent = n.id
  )
  select n.* from nodes n where n.id in (select a.id from needs a) and n.id in (select b.id from needed_by b) order by n.id;
end
$$;
comment on function rowferry._cycle(rowferry.entities) is
  'The entities, by id, with which an entity forms a cycle by foreign keys that cannot be deferred, the entity itself among them; empty: it is in no cycle. '
  'An entity that only sends is in none, because its rows are not written here.';
