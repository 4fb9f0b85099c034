-- Entities in the order in which their rows can be inserted: parents before children, by the foreign keys of this node's tables. Cycles are cut anywhere.
create or replace function rowferry._apply_order(
  p_entities text[]
)
returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive edges as (
    select c.name as child, p.name as parent
    from rowferry.entities c
    join pg_constraint f on f.conrelid = c.relation and f.contype = 'f' and f.confrelid <> f.conrelid
    join rowferry.entities p on p.relation = f.confrelid
    where c.name = any (p_entities) and p.name = any (p_entities)
  ), walk (name, depth) as (
    select n, 0 from unnest(p_entities) n
    union
    select e.child, w.depth + 1 from walk w join edges e on e.parent = w.name where w.depth < cardinality(p_entities)
  )
  select array_agg(d.name order by d.depth, d.name) from (select w.name, max(w.depth) as depth from walk w group by w.name) d
$$;
comment on function rowferry._apply_order(text[]) is 'Entities in an order in which rows can be inserted.';
revoke all on function rowferry._apply_order(text[]) from public;
