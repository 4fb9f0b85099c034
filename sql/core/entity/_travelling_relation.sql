-- The relation whose columns travel: an entity's outbound view, or its table. Null: the view is gone. Looked up in the catalog, since who asks may have no right on the view's schema.
create or replace function rowferry._travelling_relation(
  p_entity rowferry.entities
)
returns regclass
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_entity.outbound is null then
    return p_entity.relation;
  end if;
  return (
    select c.oid
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    where array[n.nspname, c.relname]::text[] = rowferry._split_name(p_entity.outbound));
end
$$;
comment on function rowferry._travelling_relation(rowferry.entities) is 'The relation whose columns travel: an entity''s outbound view, or its table.';
