create or replace function rowferry._row_literals(
  p_keys text[],
  p_column_values text[]
)
returns table (
  record_id text,
  literal text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_literals text;
  v_names text;
begin
  if p_keys is null then
    return;
  end if;
  -- The statement names each column, because one pass over all columns at once is faster than a pass for each.
  select string_agg(format('$2[%s]::text[]', n), ', '), string_agg('c' || n, ', ') into v_literals, v_names
  from generate_subscripts(p_column_values, 1) n;
  return query execute format('select u.record_id, array[%2$s]::text from unnest($1, %1$s) u (record_id, %2$s)', v_literals, v_names)
  using p_keys, p_column_values;
end
$$;
comment on function rowferry._row_literals(text[], text[]) is
  'Rows of a section, each as the literal of its values in the order of the columns.';
