-- Here as elsewhere sections are taken by their number: unnest() would copy all their values.
create or replace function rowferry._record_count(
  p_sections rowferry._section[]
)
returns bigint
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_count bigint := 0;
begin
  for i in 1 .. coalesce(cardinality(p_sections), 0) loop
    v_count := v_count + coalesce(cardinality(p_sections[i].keys), 0) + coalesce(cardinality(p_sections[i].gone), 0)
      + coalesce(cardinality(p_sections[i].asked), 0);
  end loop;
  return v_count;
end
$$;
comment on function rowferry._record_count(rowferry._section[]) is 'How many records sections hold.';
