create or replace function rowferry._received_sql(
  p_entity rowferry.entities,
  p_columns text default '$1',
  p_keys text default null,
  p_offset integer default 0,
  p_places integer[] default null
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
  select case when p_keys is not null
    then format('rows from (%s, pg_catalog.unnest(%s)) u (%s, record_id)', string_agg(format('pg_catalog.unnest(%s)', v.literal), ', ' order by c.place),
      p_keys, string_agg('c' || c.place, ', ' order by c.place))
    -- For a write: unnest() in the select list needs no temporary file. The planner cannot see through "offset 0", so each array is parsed once, and not a
    -- second time for an estimate.
    else format('(select %s from (select %s offset 0) a (%s)) u', string_agg(format('pg_catalog.unnest(a.c%s) as c%1$s', c.place), ', ' order by c.place),
      string_agg(v.literal, ', ' order by c.place),
      string_agg('c' || c.place, ', ' order by c.place)) end
  from rowferry._column_parts(p_entity) c
  cross join lateral (select format('(%s[%s])::%s[]', p_columns, c.place + p_offset, c.sent)) v (literal)
  where p_places is null or c.place = any (p_places));
end
$$;
comment on function rowferry._received_sql(rowferry.entities, text, text, integer, integer[]) is
  'SQL for a FROM item u of received rows: columns c1, c2, .. from an array of array literals, and record_id if p_keys names an array of keys. The entity''s '
  'columns begin behind the first p_offset of the array. With p_places it has only the columns at these places.';
