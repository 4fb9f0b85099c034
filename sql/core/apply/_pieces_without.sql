create or replace function rowferry._pieces_without(
  p_pieces rowferry._piece[],
  p_taken rowferry._section[]
)
returns rowferry._piece[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_left rowferry._piece[] := '{}';
  v_section rowferry._section;
begin
  for i in 1 .. cardinality(p_pieces) loop
    v_section := p_pieces[i].section;
    for j in 1 .. cardinality(p_taken) loop
      if p_taken[j].entity = v_section.entity then
        v_section := rowferry._section_part(v_section, p_taken[j].keys || p_taken[j].gone || p_taken[j].asked, false);
      end if;
    end loop;
    if coalesce(v_section.keys, v_section.gone, v_section.asked) is not null then
      v_left := v_left || p_pieces[i];
      v_left[cardinality(v_left)].section := v_section;
    end if;
  end loop;
  return v_left;
end
$$;
comment on function rowferry._pieces_without(rowferry._piece[], rowferry._section[]) is
  'A queue of pieces without the records of these sections, which have been taken.';
