create or replace function rowferry._apply_piecewise(
  p_peer text,
  p_sections rowferry._section[],
  p_heard int8multirange,
  p_known int8multirange,
  p_waiting text[],
  p_state text,
  p_needs rowferry._need[],
  out o_left rowferry._not_taken[],
  out o_whole jsonb,
  out o_conflicts jsonb,
  out o_applied bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
set array_nulls = on
as $$
declare
  c_tries constant integer := 56;  -- a backend keeps 64 subtransactions at hand; the call itself and whole batches draw some too
  v_deadline constant timestamptz := statement_timestamp() + coalesce(nullif(current_setting('statement_timeout')::interval, '0'), '1 s') * 0.7;
  v_queue rowferry._piece[];  -- what is to be tried, then what failed as a whole, then what waits
  v_piece rowferry._piece;
  v_sections rowferry._section[];
  v_along rowferry._section[];
  v_needs rowferry._need[];
  v_retried integer;  -- how many pieces were tried together
  v_tries integer := 0;
  v_last boolean := false;
  v_waiting text[] := p_waiting;
  v_result record;
  v_attempt record;
  v_resource jsonb;  -- the first error of a kind that may be the server's, not a table's
begin
  o_left := '{}';
  o_whole := '[]';
  o_conflicts := '[]';
  o_applied := 0;
  v_queue := rowferry._as_pieces(p_sections, cardinality(p_needs) > 0);
  if cardinality(v_queue) = 1 then
    v_queue[1].state := p_state;
  end if;

  while cardinality(v_queue) > 0 loop
    v_piece := v_queue[1];
    if v_tries >= c_tries or v_tries > 0 and clock_timestamp() >= v_deadline then
      exit when v_last or coalesce(v_piece.good, 0) = 0;
      -- There is no time for the rest of this piece. Its first records, which are known to work, are written so that the peer need not send them again.
      v_last := true;
      v_queue := array(
        select row(p, v_piece.depth, null, null, false)::rowferry._piece
        from rowferry._split_section(v_piece.section, v_piece.good, rowferry._record_count(array[v_piece.section])::integer) p) || v_queue[2:];
      v_piece := v_queue[1];
    end if;
    if v_piece.state is not null then
      v_result := rowferry._take_apart(v_piece, p_sections, p_needs, o_left, p_heard);
      v_queue := v_result.o_pieces || v_queue[2:] || v_result.o_waiting;
      o_left := o_left || v_result.o_left;
      continue;
    elsif v_piece.waits then
      -- Nothing else is left. It is tried together, unless that was done before and no piece less waits now.
      v_sections := array(select v_queue[i].section from generate_subscripts(v_queue, 1) i);
      exit when cardinality(v_queue) = v_retried or rowferry._record_count(v_sections) = rowferry._record_count(p_sections);
      v_retried := cardinality(v_queue);
      v_along := v_sections;
      v_needs := p_needs;
      o_left := rowferry._not_taken_without(o_left, v_sections);
      v_waiting := rowferry._still_waiting(p_waiting, '{}', o_left);
      for i in 1 .. v_retried loop
        v_queue[i].waits := false;  -- if that fails: piece by piece
      end loop;
    else
      v_queue := v_queue[2:];
      select n.o_along, n.o_needs into v_along, v_needs from rowferry._needed(v_piece.section, p_sections, p_needs) n;
      v_sections := v_piece.section || v_along;
      if (v_piece.section).gone is not null or cardinality(v_along) > 0 then
        -- A delete that waits holds no other delete up.
        v_waiting := rowferry._still_waiting(p_waiting, array(select v_queue[i].section from generate_subscripts(v_queue, 1) i),
          rowferry._not_taken_without(o_left, array(select v_queue[i].section from generate_subscripts(v_queue, 1) i where v_queue[i].waits)));
      end if;
    end if;

    v_attempt := rowferry._try_sections(p_peer, v_sections, p_heard, p_known, v_waiting, v_needs, true, v_piece.good);
    v_tries := v_tries + v_attempt.o_tries;
    if v_attempt.o_error is null then
      if cardinality(v_along) > 0 then
        -- Records that were written with this piece are done: deciding or merging them once more would be another change.
        v_queue := rowferry._pieces_without(v_queue, v_along);
        o_left := rowferry._not_taken_without(o_left, v_along);
      end if;
      p_needs := rowferry._needs_without(p_needs, v_sections);
      o_conflicts := o_conflicts || v_attempt.o_conflicts;
      o_left := o_left || v_attempt.o_busy;
      o_applied := o_applied + rowferry._record_count(v_sections) - rowferry._not_taken_count(v_attempt.o_busy);
    elsif v_last then
      v_queue := v_piece || v_queue;  -- there is no time to find out whose fault it is
    elsif not v_piece.waits then
      v_result := rowferry._judge_failure(p_peer, v_piece, v_queue, p_sections, p_needs, p_heard, p_known, v_waiting,
        v_attempt.o_error, v_attempt.o_failed, o_left, v_retried is null);
      v_tries := v_tries + v_result.o_tries;
      v_queue := v_result.o_queue;
      o_left := o_left || v_result.o_left;
      o_conflicts := o_conflicts || v_result.o_conflicts;
      o_applied := o_applied + v_result.o_applied;
      if v_result.o_whole is not null and not o_whole @> jsonb_build_array(jsonb_build_object('entity', v_result.o_whole -> 'entity')) then
        o_whole := o_whole || v_result.o_whole;
      end if;
      v_resource := coalesce(v_resource, case when (v_attempt.o_error ->> 'resource')::boolean then v_result.o_whole end);
    end if;
  end loop;

  if cardinality(p_needs) > 0 then
    o_left := rowferry._exchanging(o_left, p_needs);
  end if;
  -- Nothing else could be written either: the cause is the server's, and no table is blamed.
  if v_resource is not null and o_applied = 0 then
    raise exception using errcode = v_resource ->> 'sqlstate', message = v_resource ->> 'message', hint = coalesce(v_resource ->> 'hint', '');
  end if;
  o_left := o_left || rowferry._untried(array(select v_queue[i].section from generate_subscripts(v_queue, 1) i where not v_queue[i].waits));
end
$$;
comment on function rowferry._apply_piecewise(text, rowferry._section[], int8multirange, int8multirange, text[], text, rowferry._need[]) is
  'Applies what it can of sections that failed together with p_state, in about 60 subtransactions and 0.7 of the statement''s time. Each section is tried as '
  'a whole, then taken apart. A record is written together with the records of the batch that it needs (p_needs). Records that were refused because they '
  'need others are tried together once nothing else is left, then piece by piece as long as that helps. o_whole names entities whose table cannot be written '
  'at all.';
