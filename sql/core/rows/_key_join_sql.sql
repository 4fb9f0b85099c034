create or replace function rowferry._key_join_sql(
  p_entity rowferry.entities,
  p_row text default 't',
  p_received boolean default false
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
  select string_agg(format('%s.%I operator(pg_catalog.=) %s', p_row, c.local, case when p_received then c.value else 'k.k' || c.key_position end),
    ' and ' order by c.key_position)
  from rowferry._column_parts(p_entity) c
  where c.key_position is not null);
end
$$;
comment on function rowferry._key_join_sql(rowferry.entities, text, boolean) is
  'SQL condition that joins rows of an entity''s table to keys (k, see _keys_sql) or to received rows (u, see _received_sql).';
