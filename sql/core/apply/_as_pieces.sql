create or replace function rowferry._as_pieces(
  p_sections rowferry._section[],
  p_in_order boolean
)
returns rowferry._piece[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_pieces rowferry._piece[] := '{}';
  v_gone rowferry._piece[] := '{}';
  v_section rowferry._section;
  v_part rowferry._section;
begin
  foreach v_section in array p_sections loop
    if v_section.gone is not null then
      v_gone := row(rowferry._section_part(v_section, v_section.gone, true), 0, null, null, false)::rowferry._piece || v_gone;
    end if;
    if v_section.keys is not null or v_section.asked is not null then
      v_part := rowferry._section_part(v_section, v_section.keys || v_section.asked, true);
      -- Rows that others need stand before these, because they may be the ones that are refused.
      v_part := case when p_in_order then (rowferry._in_order(v_part)).o_section else v_part end;
      v_pieces := v_pieces || row(v_part, 0, null, null, false)::rowferry._piece;
    end if;
  end loop;
  return v_pieces || v_gone;
end
$$;
comment on function rowferry._as_pieces(rowferry._section[], boolean) is
  'Sections as the queue of _apply_piecewise(): first the rows, parents before children, then what is to be deleted, children first. With p_in_order a row '
  'stands behind those rows that hold a unique value which it needs.';
