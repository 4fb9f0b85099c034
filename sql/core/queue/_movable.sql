create or replace function rowferry._movable(
  p_peer text
)
returns integer[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive held (id, within) as (
    select e.id, e.within from rowferry.entities e where e.peer = p_peer and not rowferry._is_free(e)
    union
    select e.id, e.within from held h join rowferry.entities e on e.name = h.within
  )
  select coalesce(array_agg(e.id), '{}') from rowferry.entities e where e.peer = p_peer and e.id not in (select h.id from held h)
$$;
comment on function rowferry._movable(text) is
  'Entities of which rows that moved can be looked at now. If a table cannot be read, or waits for a person, the rows that its rows follow wait too.';
