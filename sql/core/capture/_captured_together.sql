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
      -- Rows that follow a parent, and those of a filter, are looked at for each entity by itself.
      and coalesce(e.filter, e.within, p_entity.filter, p_entity.within) is null
      and (e.key_columns, e.columns, e.local_columns, e.column_types, e.column_numbers, e.outbound) is not distinct from
        (p_entity.key_columns, p_entity.columns, p_entity.local_columns, p_entity.column_types, p_entity.column_numbers, p_entity.outbound)
      and not exists (select from pg_class c where c.oid = p_entity.relation and c.relkind = 'p')
  ) c
  order by (c.entity).id
$$;
comment on function rowferry._captured_together(rowferry.entities) is
  'The entities of a table whose events one capture function writes, because their keys and columns are the same: a table that is attached for several peers '
  'is captured once. The first of them has the function and the triggers. A table that only receives has none.';
