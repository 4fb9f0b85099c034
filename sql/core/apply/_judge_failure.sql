create or replace function rowferry._judge_failure(
  p_peer text,
  p_piece rowferry._piece,
  p_queue rowferry._piece[],
  p_sections rowferry._section[],
  p_needs rowferry._need[],
  p_heard int8multirange,
  p_known int8multirange,
  p_waiting text[],
  p_error jsonb,
  p_failed text[],
  p_left rowferry._not_taken[],
  p_first_round boolean,
  out o_queue rowferry._piece[],
  out o_left rowferry._not_taken[],
  out o_whole jsonb,
  out o_conflicts jsonb,
  out o_applied integer,
  out o_tries integer
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_state constant text := p_error ->> 'sqlstate';
  v_found record;
  v_record rowferry._section;
  v_lacks constant boolean := v_state in ('23503', '23505', '23P01');
  v_needs_others boolean;
  v_blamed jsonb;
  v_waits boolean;
  v_verdict record;
  v_hopeless rowferry._not_taken[];
  v_keys text[];
begin
  o_left := '{}';
  o_conflicts := '[]';
  o_applied := 0;
  o_tries := 0;
  if (p_error ->> 'whole')::boolean or (p_error ->> 'resource')::boolean then
    -- The table as a whole cannot be written now, so its rows are not looked at one by one.
    o_queue := p_queue;
    o_left := rowferry._as_not_taken(p_piece.section, 'entity');
    o_whole := jsonb_build_object('entity', (p_piece.section).entity)
      || rowferry._explain_refusal(v_state, p_error ->> 'message', p_error ->> 'detail', p_error ->> 'hint');
    return;
  end if;
  v_found := rowferry._find_fault(p_piece, p_queue, v_state, p_failed);
  o_queue := v_found.o_queue;
  v_record := v_found.o_record;
  if v_record.entity is null then
    return;
  end if;
  v_needs_others := not v_lacks and exists (
    select from unnest(p_needs) n where n.entity = v_record.entity and n.record_id = (v_record.keys || v_record.gone)[1]);
  if v_needs_others then
    -- A record that was written with this one may be at fault. That is known only after it has been tried by itself.
    v_blamed := (rowferry._hopeless(v_record, null, p_sections, p_needs, p_left))[1].refusal;
  end if;
  v_waits := v_lacks or v_needs_others and p_first_round;
  v_verdict := rowferry._refuse_record(p_peer, v_record, p_heard, p_known, p_waiting, p_error, v_blamed, 'undecided' in (select l.why from unnest(p_left) l));
  o_left := v_verdict.o_left;
  o_conflicts := v_verdict.o_conflicts;
  o_tries := v_verdict.o_tries;
  o_applied := 1 - rowferry._not_taken_count(o_left);
  if not v_verdict.o_refused then
    return;
  end if;
  if v_waits then
    o_queue := o_queue || row(v_record, p_piece.depth, null, null, true)::rowferry._piece;
  end if;
  if o_queue[1].good is not null and cardinality(p_needs) > 0 then
    -- Records of the same piece that need this record are not tried.
    v_hopeless := rowferry._hopeless(o_queue[1].section, null, p_sections, p_needs, o_left);
  end if;
  if v_hopeless is not null then
    v_keys := array(select h.records[1] from unnest(v_hopeless) h);
    o_left := o_left || v_hopeless;
    if v_waits then
      o_queue := o_queue || row(rowferry._section_part(o_queue[1].section, v_keys, true), p_piece.depth, null, null, true)::rowferry._piece;
    end if;
    o_queue[1].section := rowferry._section_part(o_queue[1].section, v_keys, false);
    if rowferry._record_count(array[o_queue[1].section]) = 0 then
      o_queue := o_queue[2:];
    end if;
  end if;
end
$$;
comment on function rowferry._judge_failure(text, rowferry._piece, rowferry._piece[], rowferry._section[], rowferry._need[], int8multirange, int8multirange,
  text[], jsonb, text[], rowferry._not_taken[], boolean) is
  'Decides what happens to a piece that failed with p_error, and returns the new queue. If one record is found to be at fault, it is refused. If that record '
  'needs others, it is tried once more at the end. p_left has the records that were not taken so far. p_first_round says that no record has been tried '
  'once more yet.';
