create or replace function rowferry._is_followed(
  p_entity rowferry.entities
)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (select from rowferry.entities c where c.within = p_entity.name)
$$;
comment on function rowferry._is_followed(rowferry.entities) is 'Whether rows of another entity follow those of this one.';
