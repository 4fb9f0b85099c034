create or replace function rowferry._within_sql(
  p_entity rowferry.entities,
  p_row text
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
  select format('exists (select from %s p where %s)', rowferry._filtered_sql(p, rowferry._only_sql(p)), (
      select string_agg(format('p.%I operator(pg_catalog.=) %s.%I', k.parent, p_row, k.child), ' and ' order by k.ord)
      from unnest(p_entity.within_columns, p_entity.within_parent_columns) with ordinality k (child, parent, ord)))
  from rowferry.entities p
  where p.name = p_entity.within);
end
$$;
comment on function rowferry._within_sql(rowferry.entities, text) is
  'SQL condition: whether a row of an entity, given by its name in a query, has a parent that is kept in sync; null: the entity follows none.';
