-- What of the deletes in sections holds unique values that rows of them want (p_needs, from _needs), and cannot give them up.
create or replace function rowferry._wanted_gone(
  p_sections rowferry._section[],
  p_needs jsonb
)
returns rowferry._section[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_wanted rowferry._section[] := '{}';
  v_part rowferry._section;
begin
  for i in 1 .. cardinality(p_sections) loop
    continue when (p_sections[i]).gone is null;
    v_part := rowferry._section_part(p_sections[i], array(
      select n ->> 3 from jsonb_array_elements(p_needs) n where n ->> 2 = (p_sections[i]).entity and n ->> 4 = '23505' and n ->> 6 is null), true);
    continue when v_part.gone is null;
    v_wanted := v_wanted || rowferry._section_part(v_part, v_part.gone, true);
  end loop;
  return v_wanted;
end
$$;
comment on function rowferry._wanted_gone(rowferry._section[], jsonb) is 'What of the deletes in sections holds unique values that rows of them want.';
