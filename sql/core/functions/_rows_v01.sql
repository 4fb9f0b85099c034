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
  select p_keys[v.ord], jsonb_object_agg(c.name, v.value)
  from unnest(p_columns, p_column_values) c (name, literal)
  cross join lateral unnest(c.literal::text[]) with ordinality v (value, ord)
  group by v.ord
$$;
comment on function rowferry._rows(text[], text[], text[]) is 'Rows of a section as json, by key.';
revoke all on function rowferry._rows(text[], text[], text[]) from public;
