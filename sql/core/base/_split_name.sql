create or replace function rowferry._split_name(
  p_name text
)
returns text[]
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_names text[];
begin
  v_names := parse_ident(p_name);
  return case when cardinality(v_names) = 2 then v_names end;
exception
  when invalid_parameter_value then
    return null;
end
$$;
comment on function rowferry._split_name(text) is 'Schema and name of an object as a user wrote it; null: it has no schema.';
