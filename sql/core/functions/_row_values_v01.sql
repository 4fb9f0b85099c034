-- Rows of a section as one array of texts each, in the order of its columns. One pass over all columns at once, which needs their number in the statement.
create or replace function rowferry._row_values(
  p_keys text[],
  p_column_values text[]
)
returns table (
  record_id text,
  "values" text[]
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
  select string_agg(format('$2[%s]::text[]', n), ', '), string_agg('u.c' || n, ', ') into v_literals, v_names
  from generate_subscripts(p_column_values, 1) n;
  return query execute format('select u.record_id, array[%s] from unnest($1, %s) u (record_id, %s)', v_names, v_literals, replace(v_names, 'u.', ''))
  using p_keys, p_column_values;
end
$$;
comment on function rowferry._row_values(text[], text[]) is 'Rows of a section as arrays of texts.';
revoke all on function rowferry._row_values(text[], text[]) from public;
