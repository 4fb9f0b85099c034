-- Entities that an entity refers to by foreign keys, directly or through others.
create or replace function rowferry._ancestors(
  p_entity text
)
returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive up (name) as (
    select p_entity
    union
    select p.name
    from up u
    join rowferry.entities c on c.name = u.name
    join pg_constraint f on f.conrelid = c.relation and f.contype = 'f'
    join rowferry.entities p on p.relation = f.confrelid
  )
  select coalesce(array_agg(u.name), '{}') from up u where u.name <> p_entity
$$;
comment on function rowferry._ancestors(text) is 'Entities that an entity refers to.';
