create or replace function rowferry._captured_together(
  p_entity rowferry.entities
)
returns setof rowferry.entities
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select (c.entity).*
  from (
    select p_entity as entity where p_entity.direction <> 'receive'
    union all
    select e
    from rowferry.entities e
    where e.relation = p_entity.relation and e.id <> p_entity.id and e.direction <> 'receive' and p_entity.direction <> 'receive'
  ) c
  order by (c.entity).id
$$;
comment on function rowferry._captured_together(rowferry.entities) is
  'The entities of a table whose events one capture function writes: all that this node sends. The first of them has the function and the triggers.';
