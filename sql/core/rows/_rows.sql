-- Rows of a section as json, one string per value as its type prints it: for people, and to tell whether two rows are equal.
create or replace function rowferry._rows(
  p_columns text[],
  p_keys text[],
  p_column_values text[]
)
returns table (
  record_id text,
  "row" jsonb
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select v.record_id, jsonb_object(p_columns, v.literal::text[])
  from rowferry._row_literals(p_keys, p_column_values) v
$$;
comment on function rowferry._rows(text[], text[], text[]) is 'Rows of a section as json, by key.';
