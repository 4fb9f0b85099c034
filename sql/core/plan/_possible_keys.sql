create or replace function rowferry._possible_keys(
  p_table regclass
)
returns table (
  columns text[],
  is_primary boolean
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select k.columns, bool_or(i.indisprimary)
  from pg_index i
  cross join lateral (
    select array_agg(a.attname::text order by a.attname::text collate "C"), bool_and(a.attnotnull)
    from pg_attribute a
    where a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1])) k (columns, is_not_null)
  where i.indrelid = p_table and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null and k.is_not_null
  group by k.columns
  order by bool_or(i.indisprimary) desc, cardinality(k.columns), k.columns
$$;
comment on function rowferry._possible_keys(regclass) is
  'The columns of each unique index by which a table''s rows could be told apart on both nodes; those of the primary key come first.';
