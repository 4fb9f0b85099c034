create or replace function rowferry._as_captured(
  p_entity rowferry.entities
)
returns rowferry.entities
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key constant text[] := array(
    select c.local from unnest(p_entity.columns, p_entity.local_columns) c (name, local) where c.name = any (p_entity.key_columns));
  v_types text[];
begin
  if p_entity.outbound is null or rowferry._column_types(p_entity) = p_entity.column_types then
    return p_entity;
  end if;
  p_entity.outbound := null;
  -- A column without a name is none of the key.
  select array_agg(c.name order by c.place), array_agg(c.local order by c.place), array_agg(c.number order by c.place), array_agg(c.type order by c.place)
  into p_entity.columns, p_entity.local_columns, p_entity.column_numbers, v_types
  from (
    select k.name, k.local, a.attnum as number, k.type, row_number() over (order by a.attnum) as place
    from unnest(p_entity.columns, p_entity.local_columns, p_entity.column_types) k (name, local, type)
    left join pg_attribute a on a.attrelid = p_entity.relation and a.attname = k.local
    where k.local = any (v_key)
    union all
    select null, a.attname, a.attnum, null, 10000 + a.attnum
    from pg_attribute a
    where a.attrelid = p_entity.relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and a.attname <> all (v_key)
  ) c;
  p_entity.column_types := array(
    select coalesce(t.type, t.type_now) from unnest(v_types, rowferry._column_types(p_entity)) with ordinality t (type, type_now, place) order by t.place);
  return p_entity;
end
$$;
comment on function rowferry._as_captured(rowferry.entities) is
  'An entity as its capture function takes it. While its outbound view is gone, or has other columns than those that were attached, any change of a row counts: '
  'so users'' writes go on, and nothing is missed until the view is as it was and attach() is called.';
