-- Sections without the records of others, and what belongs to each (p_states) of those of which anything is left.
create or replace function rowferry._sections_without(
  p_sections rowferry._section[],
  p_states text[],
  p_taken rowferry._section[],
  out o_sections rowferry._section[],
  out o_states text[]
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_section rowferry._section;
begin
  o_sections := '{}';
  o_states := '{}';
  for i in 1 .. cardinality(p_sections) loop
    v_section := p_sections[i];
    for j in 1 .. cardinality(p_taken) loop
      if p_taken[j].entity = v_section.entity then
        v_section := rowferry._section_part(v_section, p_taken[j].keys || p_taken[j].gone || p_taken[j].asked, false);
      end if;
    end loop;
    if coalesce(v_section.keys, v_section.gone, v_section.asked) is not null then
      o_sections := o_sections || v_section;
      o_states := o_states || p_states[i];
    end if;
  end loop;
end
$$;
comment on function rowferry._sections_without(rowferry._section[], text[], rowferry._section[]) is 'Sections without the records of others.';
