-- Entities whose rows go when rows of another one are deleted, by a foreign key that cascades; of all parents, or of p_parent.
create or replace function rowferry._cascades(
  p_parent integer,
  out o_parent integer,
  out o_child integer
)
returns setof record
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select p.id, c.id
  from pg_constraint f
  join rowferry.entities p on p.relation = f.confrelid
  join rowferry.entities c on c.relation = f.conrelid and c.id <> p.id and c.peer = p.peer
  where f.contype = 'f' and f.confdeltype = 'c' and p.id = coalesce(p_parent, p.id)
$$;
comment on function rowferry._cascades(integer) is 'Entities whose rows go with those of another one.';
