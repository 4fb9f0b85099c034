create or replace function rowferry._missing_sql(
  p_columns text[],
  p_row text
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select format(case when n.many then 'cross join lateral (select %s from (select row(%s.*) as whole offset 0) m) missing'
      else 'cross join lateral (select %s) missing' end,
    string_agg(case when n.many then 'm.whole' else format('row(%s.*)', p_row) end || ' as ' || quote_ident(c), ', '), p_row)
  from unnest(p_columns) c
  cross join (select cardinality(p_columns) > 30) n (many)
  group by n.many
$$;
comment on function rowferry._missing_sql(text[], text) is
  'FROM item in which the names of columns that a table may lose mean the row p_row as a whole. It costs nothing while they are there; but planning takes time that '
  'grows with the square of their number, for each of a session''s first six statements. So many columns share one row, which is made for each row.';
