-- It is looked up in the catalog, because the caller may have no right on the schema of the view.
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
comment on function rowferry._travelling_relation(rowferry.entities) is
  'The relation whose columns travel: an entity''s outbound view, or its table; null: the view is gone.';
