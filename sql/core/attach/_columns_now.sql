create or replace function rowferry._columns_now(
  p_entity rowferry.entities
)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_object_agg(c.name, coalesce(a.attname, c.local))
  from unnest(p_entity.columns, p_entity.local_columns, p_entity.column_numbers) c (name, local, number)
  -- In a restored database the numbers are others.
  left join pg_attribute a on a.attrelid = p_entity.relation and a.attnum = c.number and not a.attisdropped and p_entity.relation_oid = p_entity.relation
$$;
comment on function rowferry._columns_now(rowferry.entities) is 'The columns of an attached table by their entity columns, as the table calls them now.';
