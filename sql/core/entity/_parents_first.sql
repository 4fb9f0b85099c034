create or replace function rowferry._parents_first(
  p_entities text[]
)
returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive members as materialized (
    select e.id, e.name, coalesce(e.cycle, e.id) as node from rowferry.entities e where e.name = any (p_entities)
  ), edges as materialized (
    select c.node as child, p.node as parent, f.deferrable
    from members c
    join rowferry._foreign_keys f on f.child_id = c.id
    join members p on p.id = f.parent_id and p.node <> c.node
  ), walk (node, depth) as (
    select m.node, 0 from members m
    union
    select e.child, w.depth + 1 from walk w join edges e on e.parent = w.node where w.depth < cardinality(p_entities)
  ), depths as materialized (
    select w.node, max(w.depth) as depth from walk w group by w.node
  ), undeferred (node, depth) as (
    select d.node, 0 from depths d where (select max(m.depth) from depths m) >= cardinality(p_entities)
    union
    select e.child, u.depth + 1 from undeferred u join edges e on e.parent = u.node and not e.deferrable where u.depth < cardinality(p_entities)
  )
  select array_agg(m.name order by d.depth, (select max(u.depth) from undeferred u where u.node = m.node), m.node, m.name)
  from members m
  join depths d using (node)
$$;
comment on function rowferry._parents_first(text[]) is
  'Entities in an order in which their rows can be inserted: parents before children, by the foreign keys of this node. Entities that one statement writes '
  'stand together; any other cycle has constraints that can be deferred, and is cut there.';
