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
    -- It is taken apart when all others have had their turn; pieces of one section come before the next section.
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
    -- The error came at the end of all of them, or records that were good are so no longer: smaller pieces show whose fault it is.
    o_queue := array(
      select row(p, p_piece.depth, null, null, false)::rowferry._piece
      from rowferry._split_section(v_section, 0, (cardinality(v_keys) + c_cut - 1) / c_cut) p) || p_queue;
  end if;
end
$$;
comment on function rowferry._find_fault(rowferry._piece, rowferry._piece[], text, text[]) is
  'What becomes of the queue when a piece has failed: the piece goes back whole, to be taken apart later, or goes on without the record that was found to '
  'be at fault (o_record; p_failed: the records of the statement that failed), or is cut.';
