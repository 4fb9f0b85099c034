create or replace function rowferry._column_parts(
  p_entity rowferry.entities
)
returns table (
  place integer,
  local text,
  key_position integer,
  type text,
  full_type text,
  output text,
  lossy boolean,
  in_unique boolean,
  insert_only boolean,
  sent text,
  value text,
  printed text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
  select c.place, c.local, c.key_position, c.type, c.full_type, c.output, c.lossy, c.in_unique, c.insert_only,
    case when c.typed then c.type else 'text' end,
    format(case when c.typed then 'u.c%s' else 'u.c%s::%s' end, c.place, c.type),
    -- The output function of the type prints, never a cast.
    case when c.typed then format('pg_catalog.array_agg(t.%I)::text', c.local)
      else format('pg_catalog.array_agg(pg_catalog.textin(%s(t.%I)))::text', c.output, c.local) end
  from rowferry._entity_columns(p_entity) c
  order by c.place;
end
$$;
comment on function rowferry._column_parts(rowferry.entities) is
  'Travelling columns of an entity as SQL for generated functions. sent: type of the elements of the array in which its values are sent; value: the value of '
  'one received row u; printed: the values of rows t as one array literal.';
