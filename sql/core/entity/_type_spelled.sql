create or replace function rowferry._type_spelled(
  p_type oid,
  p_typmod integer,
  p_labels boolean
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_type pg_type := (select t from pg_type t where t.oid = p_type);
  v_typmod constant integer := greatest(p_typmod, -1);
begin
  return case
    when v_type.typtype = 'd' then rowferry._type_spelled(v_type.typbasetype, case when v_typmod >= 0 then v_typmod else v_type.typtypmod end, p_labels)
    when v_type.typtype = 'c' then format('row(%s)', (
      select string_agg(format('%I %s', a.attname, rowferry._type_spelled(a.atttypid, a.atttypmod, p_labels)), ', ' order by a.attnum)
      from pg_attribute a
      where a.attrelid = v_type.typrelid and a.attnum > 0 and not a.attisdropped))
    when v_type.typnamespace = 'pg_catalog'::regnamespace then format_type(p_type, v_typmod)
    when v_type.typtype = 'e' and p_labels then format('%s(%s)', v_type.typname, (
      select string_agg(n.enumlabel, ', ' order by n.enumsortorder) from pg_enum n where n.enumtypid = p_type))
    when v_type.typtype = 'e' then 'enum'
    when v_type.typtype = 'r' then format('range(%s)', (select rowferry._type_spelled(r.rngsubtype, -1, p_labels) from pg_range r where r.rngtypid = p_type))
    when v_type.typtype = 'm' then format('multirange(%s)', (
      select rowferry._type_spelled(r.rngsubtype, -1, p_labels) from pg_range r where r.rngmultitypid = p_type))
    when exists (select from pg_type e where e.oid = v_type.typelem and e.typarray = p_type)
      then rowferry._type_spelled(v_type.typelem, v_typmod, p_labels) || '[]'
    else v_type.typname || substr(format_type(p_type, v_typmod), length(format_type(p_type, -1)) + 1) end;
end
$$;
comment on function rowferry._type_spelled(oid, integer, boolean) is
  'A type as both nodes spell it, whatever its schema: a domain by its base, an array by its elements, a composite type by its attributes, a range by its '
  'subtype; an enum by its labels (p_labels) or, because values travel as labels, as enum.';
