create or replace function rowferry._keys_sql(
  p_entity rowferry.entities,
  p_array text
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
  select case
    when count(*) = 1 then format('pg_catalog.unnest(%s::%s[]) k (k1)', p_array, min(c.type))
    else format('(select %s from pg_catalog.unnest(%s) r (record_id)) k',
      string_agg(format('(r.record_id::text[])[%s]::%s as k%1$s', c.key_position, c.type), ', ' order by c.key_position), p_array)
  end
  from rowferry._entity_columns(p_entity) c
  where c.key_position is not null);
end
$$;
comment on function rowferry._keys_sql(rowferry.entities, text) is
  'FROM item k (k1, k2, ..): an array of record_ids as values of the key''s own types. p_array is a parameter by its number, because its name could be that '
  'of a column.';
