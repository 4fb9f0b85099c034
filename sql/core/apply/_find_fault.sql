create or replace function rowferry._find_fault(
  p_piece rowferry._piece,
  p_queue rowferry._piece[],
  p_state text,
  p_failed text[],
  out o_queue rowferry._piece[],
  out o_record rowferry._section
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  c_cut constant integer := 8;
  v_section constant rowferry._section := p_piece.section;
  v_keys constant text[] := v_section.keys || v_section.gone || v_section.asked;
  v_place integer;
begin
  o_queue := p_queue;
  if p_piece.good is null and (cardinality(v_keys) > 1 or p_piece.depth = 0) then
    -- The piece is taken apart after all others have been tried. Pieces of its own section come before the next section.
    p_piece.state := p_state;
    v_place := (
      select count(*)
      from generate_subscripts(p_queue, 1) i
      where not p_queue[i].waits and (p_queue[i].state is null or p_queue[i].depth >= p_piece.depth));
    o_queue := p_queue[:v_place] || p_piece || p_queue[v_place + 1:];
  elsif cardinality(v_keys) = 1 then
    o_record := v_section;
  elsif cardinality(p_failed) = 1 then
    o_record := rowferry._section_part(v_section, p_failed, true);
    p_piece.section := rowferry._section_part(v_section, p_failed, false);
    p_piece.good := array_position(v_keys, p_failed[1]) - 1;
    o_queue := p_piece || p_queue;
  else
    -- Either the error came only after all records were written, or records that could be written before now fail. So the piece is cut into smaller ones to
    -- find the record at fault.
    o_queue := array(
      select row(p, p_piece.depth, null, null, false)::rowferry._piece
      from rowferry._split_section(v_section, 0, (cardinality(v_keys) + c_cut - 1) / c_cut) p) || p_queue;
  end if;
end
$$;
comment on function rowferry._find_fault(rowferry._piece, rowferry._piece[], text, text[]) is
  'Returns the queue after a piece has failed. The piece goes back into the queue as a whole, to be taken apart later; or it is tried again without the '
  'record that was found to be at fault (o_record; p_failed lists the records of the statement that failed); or it is cut into smaller pieces.';
