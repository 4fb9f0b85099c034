create or replace function rowferry._with_followers(
  p_name text
)
returns table (
  o_name text,
  o_depth integer
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive family (name, depth) as (
    select p_name, 0
    union all
    select c.name, f.depth + 1 from family f join rowferry.entities c on c.within = f.name
  )
  select f.name, f.depth from family f
$$;
comment on function rowferry._with_followers(text) is 'An entity and those whose rows follow its rows, level by level.';
