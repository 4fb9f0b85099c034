create or replace function rowferry._take_apart(
  p_piece rowferry._piece,
  p_sections rowferry._section[],
  p_needs rowferry._need[],
  p_left rowferry._not_taken[],
  p_heard int8multirange,
  out o_pieces rowferry._piece[],
  out o_waiting rowferry._piece[],
  out o_left rowferry._not_taken[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  c_few constant integer := 128;
  c_cut constant integer := 8;
  v_state constant text := p_piece.state;
  v_section rowferry._section := p_piece.section;
  v_count constant integer := cardinality(v_section.keys || v_section.gone || v_section.asked);
  v_hopeless rowferry._not_taken[];
  v_missing text[];
  v_single text[];
  v_key text;
begin
  o_pieces := '{}';
  o_waiting := '{}';
  o_left := '{}';
  p_piece.state := null;
  p_piece.depth := p_piece.depth + 1;
  if v_state in ('23503', '23505', '23P01') and v_section.keys is not null and v_count > 1 then
    v_hopeless := rowferry._hopeless(v_section, v_state, p_sections, p_needs, p_left);
  end if;
  if v_hopeless is null and v_count > c_few then
    o_pieces := array(
      select row(p, p_piece.depth, null, null, false)::rowferry._piece
      from rowferry._split_section(v_section, 0, greatest(c_few, (v_count + c_cut - 1) / c_cut)) p);
  elsif v_hopeless is null then
    p_piece.good := 0;
    o_pieces := array[p_piece];
  else
    v_missing := array(select h.records[1] from unnest(v_hopeless) h);
    if cardinality(v_missing) < v_count then
      p_piece.section := rowferry._section_part(v_section, v_missing, false);
      o_pieces := array[p_piece];
    end if;
    v_section := rowferry._section_part(v_section, v_missing, true);
    if 'undecided' in (select l.why from unnest(p_left) l) then
      o_left := rowferry._as_not_taken(v_section, 'untried');
      return;
    end if;
    -- Whether a row is given up, or need not be written because this node's own stays, is decided one by one.
    select case when e.orphan_rule = 'drop' and v_state = '23503' then v_missing
      else coalesce(rowferry._unseen_changes(e.id, v_missing, p_heard, '{}'), '{}') end
    into v_single
    from rowferry.entities e
    where e.name = v_section.entity;
    foreach v_key in array v_single[:20] loop
      p_piece.section := rowferry._section_part(v_section, array[v_key], true);
      o_pieces := o_pieces || p_piece;
    end loop;
    o_left := rowferry._as_not_taken(rowferry._section_part(v_section, v_single[21:], true), 'untried');
    if cardinality(v_single) < cardinality(v_missing) then
      p_piece.section := rowferry._section_part(v_section, v_single, false);
      p_piece.waits := true;
      o_waiting := array[p_piece];
      o_left := o_left || array(select h from unnest(v_hopeless) h where h.records[1] not in (select unnest(v_single)));
    end if;
  end if;
end
$$;
comment on function rowferry._take_apart(rowferry._piece, rowferry._section[], rowferry._need[], rowferry._not_taken[], int8multirange) is
  'Decides what happens to a piece that failed as a whole. One look finds the records that cannot be written (_hopeless); these wait (o_waiting, with their '
  'refusals in o_left), and the others are tried again without them. If there are none, a long piece is cut, and a short one is written record by record. '
  'p_left has the records of the batch that were not taken so far.';
