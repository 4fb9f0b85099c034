create or replace function rowferry._other_columns(
  p_entity rowferry.entities
)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_object_agg(a.attname, rowferry._type_spelled(a.atttypid, a.atttypmod, true))
  from pg_attribute a
  where p_entity.outbound is null and a.attrelid = p_entity.relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    and a.attname <> all (p_entity.local_columns) and not rowferry._local_type(format_type(a.atttypid, -1))
$$;
comment on function rowferry._other_columns(rowferry.entities) is
  'The columns of an entity''s table that could travel and do not, each with its type; null: there is none, or a view''s columns travel in their place.';
