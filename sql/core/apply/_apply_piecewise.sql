-- Sections that failed together, with p_state: finds the rows that are refused, in about 60 subtransactions and 0.7 of the statement's time, and
-- applies all others. Each section as a whole; one that fails is asked for rows without a parent, then cut into pieces, each again as a whole; one
-- of few rows is written row by row, so that each try finds a bad row, until the rest goes. Rows refused for want of another (foreign key, unique
-- value) are tried together, then one by one as long as that helps. What a row needs of the others (p_needs) is written with it, and has had its turn then: to decide or merge it once more would be another change. Rows first, parents before children; then those that are gone, children first.
-- An answer that the orphan rule drop gives up is deleted on both nodes.
create or replace function rowferry._apply_piecewise(
  p_peer text,
  p_sections rowferry._section[],
  p_heard int8multirange,
  p_known int8multirange,
  p_waiting text[],
  p_state text,
  p_needs jsonb,
  out o_left jsonb,
  out o_whole jsonb,
  out o_conflicts jsonb,
  out o_applied bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
as $$
declare
  c_tries constant integer := 56;  -- a backend keeps 64 subtransactions at hand; the call itself and whole batches draw some too
  c_few constant integer := 128;
  c_cut constant integer := 8;
  -- What a row lacks, or runs into, may be among the conflicts that are left for the next call.
  c_undecided constant jsonb := '[{"undecided": true}]';
  v_deadline timestamptz := statement_timestamp() + coalesce(nullif(current_setting('statement_timeout')::interval, '0'), '1 s') * 0.7;
  v_tries integer := 0;
  v_whole rowferry._section[] := '{}';
  v_gone rowferry._section[] := '{}';
  v_failed rowferry._section[] := '{}';  -- as a whole, with these states: to be taken apart once all others have had their turn
  v_states text[] := '{}';
  v_pieces rowferry._section[] := '{}';  -- as v_failed, of the one that is being taken apart: before v_failed
  v_piece_states text[] := '{}';
  v_apart boolean := false;
  v_section rowferry._section;
  v_good integer;
  v_aside rowferry._section[] := '{}';
  v_reasons jsonb := '[]';
  v_retried integer;
  v_attempt record;
  v_keys text[];
  v_one rowferry._section;
  v_state text;
  v_refusal jsonb;
  v_orphan record;
  v_missing text[];
  v_single text[];
  v_refusals jsonb[];
  v_refused jsonb;
  v_lacks boolean;
  v_key text;
  v_context text;
  v_in_order constant boolean := p_needs <> '[]';
  v_needs jsonb;
  v_along rowferry._section[];  -- what is written with the section because its rows need it
  v_waiting text[] := p_waiting;
  v_resource jsonb;  -- the first error of a kind that may be the server's, not a table's
begin
  o_left := '[]';
  o_whole := '[]';
  o_conflicts := '[]';
  o_applied := 0;
  foreach v_section in array p_sections loop
    if v_section.gone is not null then
      v_gone := rowferry._section_part(v_section, v_section.gone, true) || v_gone;
    end if;
    if v_section.keys is not null or v_section.asked is not null then
      v_one := rowferry._section_part(v_section, v_section.keys || v_section.asked, true);
      -- What others want comes before them: it may be what is refused.
      v_whole := v_whole || case when v_in_order then (rowferry._in_order(v_one)).o_section else v_one end;
    end if;
  end loop;
  v_whole := v_whole || v_gone;
  if cardinality(v_whole) = 1 then
    v_failed := v_whole;
    v_states := array[p_state];
    v_whole := '{}';
  end if;

  while v_tries < c_tries and (v_tries = 0 or clock_timestamp() < v_deadline) loop
    if v_good is not null then
      null;  -- the same section, without the row that was found
    elsif cardinality(v_whole) > 0 then
      v_section := v_whole[1];
      v_whole := v_whole[2:];
    elsif cardinality(v_pieces || v_failed) > 0 then
      v_apart := true;
      v_failed := v_pieces || v_failed;
      v_states := v_piece_states || v_states;
      v_section := v_failed[1];
      v_state := v_states[1];
      v_failed := v_failed[2:];
      v_states := v_states[2:];
      v_pieces := '{}';
      v_piece_states := '{}';
      v_keys := v_section.keys || v_section.gone || v_section.asked;
      v_missing := null;
      if v_state in ('23503', '23505', '23P01') and v_section.keys is not null and cardinality(v_keys) > 1 then
        -- One look finds all that cannot go; the others are tried again without them.
        select h.o_keys, h.o_refusals into v_missing, v_refusals
        from rowferry._hopeless(v_section, v_state, p_sections, p_needs, v_reasons || jsonb_path_query_array(o_left, '$[*] ? (exists (@.sqlstate))')) h;
      end if;
      if v_missing is not null and o_left @> c_undecided then
        o_left := o_left || rowferry._as_not_taken(rowferry._section_part(v_section, v_missing, true), '{"untried": true}');
        if cardinality(v_missing) < cardinality(v_keys) then
          v_whole := rowferry._section_part(v_section, v_missing, false) || v_whole;
        end if;
        continue;
      elsif v_missing is not null then
        -- Whether a row is given up, or need not be written because this node's own stays, is decided one by one.
        select case when e.orphan_rule = 'drop' and v_state = '23503' then v_missing else coalesce(rowferry._unseen_changes(e.id, v_missing, p_heard, '{}'), '{}') end
        into v_single
        from rowferry.entities e
        where e.name = v_section.entity;
        o_left := o_left || rowferry._as_not_taken(rowferry._section_part(v_section, v_single[21:], true), '{"untried": true}');
        foreach v_key in array v_single[:20] loop
          v_whole := v_whole || rowferry._section_part(v_section, array[v_key], true);
        end loop;
        if cardinality(v_single) < cardinality(v_missing) then
          v_aside := v_aside || rowferry._section_part(v_section, array(select k from unnest(v_missing) k where k not in (select unnest(v_single))), true);
          v_reasons := v_reasons || (
            select jsonb_agg(jsonb_build_object('entity', v_section.entity, 'record_id', m.record_id) || m.refusal)
            from unnest(v_missing, v_refusals) m (record_id, refusal)
            where m.record_id not in (select unnest(v_single)));
        end if;
        if cardinality(v_missing) < cardinality(v_keys) then
          v_whole := rowferry._section_part(v_section, v_missing, false) || v_whole;
        end if;
        continue;
      elsif cardinality(v_keys) > c_few then
        v_whole := array(select p from rowferry._split_section(v_section, 0, greatest(c_few, (cardinality(v_keys) + c_cut - 1) / c_cut)) p);
        continue;
      end if;
      v_good := 0;
    else
      -- All of them were tried together before.
      exit when cardinality(v_aside) = 0 or cardinality(v_aside) = v_retried or rowferry._record_count(v_aside) = rowferry._record_count(p_sections);
      v_waiting := rowferry._still_waiting(p_waiting, '{}', o_left || o_whole);
      v_attempt := rowferry._try_sections(p_peer, v_aside, p_heard, p_known, v_waiting, v_in_order, null, v_in_order, p_needs);
      v_tries := v_tries + v_attempt.o_tries;
      if v_attempt.o_error is null then
        o_conflicts := o_conflicts || v_attempt.o_conflicts;
        o_left := o_left || v_attempt.o_busy;
        o_applied := o_applied + rowferry._record_count(v_aside) - rowferry._not_taken_count(v_attempt.o_busy);
        v_aside := '{}';
        exit;
      end if;
      v_retried := cardinality(v_aside);
      v_whole := v_aside;
      v_aside := '{}';
      v_reasons := '[]';
      continue;
    end if;

    v_needs := case when v_in_order then rowferry._needs_of(v_section, p_needs) else '[]' end;
    v_along := rowferry._needed(array[v_section], p_sections, v_needs);
    if v_section.gone is not null or cardinality(v_along) > 0 then
      v_waiting := rowferry._still_waiting(p_waiting, v_whole || v_failed || v_pieces || v_aside, o_left || o_whole);
    end if;
    v_attempt := rowferry._try_sections(p_peer, array[v_section] || v_along, p_heard, p_known, v_waiting, v_in_order, v_good, v_in_order, v_needs);
    v_tries := v_tries + v_attempt.o_tries;
    if v_attempt.o_error is null then
      if cardinality(v_along) > 0 then
        v_whole := (rowferry._sections_without(v_whole, null, v_along)).o_sections;
        select w.o_sections, w.o_states into v_pieces, v_piece_states from rowferry._sections_without(v_pieces, v_piece_states, v_along) w;
        select w.o_sections, w.o_states into v_failed, v_states from rowferry._sections_without(v_failed, v_states, v_along) w;
        v_aside := (rowferry._sections_without(v_aside, null, v_along)).o_sections;
        v_reasons := rowferry._entries_without(v_reasons, v_along);
        o_left := rowferry._entries_without(o_left, v_along);
      end if;
      o_conflicts := o_conflicts || v_attempt.o_conflicts;
      o_left := o_left || v_attempt.o_busy;
      o_applied := o_applied + rowferry._record_count(array[v_section] || v_along) - rowferry._not_taken_count(v_attempt.o_busy);
      if v_in_order then
        p_needs := rowferry._unmet(p_needs, v_section, v_needs);
      end if;
      v_good := null;
      continue;
    end if;
    v_state := v_attempt.o_error ->> 'sqlstate';
    if (v_attempt.o_error ->> 'whole')::boolean or (v_attempt.o_error ->> 'resource')::boolean then
      -- The table as a whole cannot be written now: no look at its rows.
      v_refusal := rowferry._explain_refusal(v_state, v_attempt.o_error ->> 'message', v_attempt.o_error ->> 'detail', v_attempt.o_error ->> 'hint');
      v_resource := coalesce(v_resource, case when (v_attempt.o_error ->> 'resource')::boolean then v_refusal end);
      if not o_whole @> jsonb_build_array(jsonb_build_object('entity', v_section.entity)) then
        o_whole := o_whole || (jsonb_build_object('entity', v_section.entity) || v_refusal);
      end if;
      o_left := o_left || rowferry._as_not_taken(v_section, '{"apart": true}');
      v_good := null;
      continue;
    end if;
    v_keys := v_section.keys || v_section.gone || v_section.asked;
    v_one := v_section;
    if v_good is null and (cardinality(v_keys) > 1 or not v_apart) then
      v_pieces := v_pieces || v_section;
      v_piece_states := v_piece_states || v_state;
      continue;
    elsif cardinality(v_keys) = 1 then
      v_good := null;
    elsif cardinality(v_attempt.o_failed) = 1 then
      v_one := rowferry._section_part(v_section, v_attempt.o_failed, true);
      v_section := rowferry._section_part(v_section, v_attempt.o_failed, false);
      v_good := array_position(v_keys, v_attempt.o_failed[1]) - 1;
    else
      -- Deferred, or the good rows are good no longer: whose fault it is shows in smaller pieces.
      v_whole := array(select p from rowferry._split_section(v_section, 0, (cardinality(v_keys) + c_cut - 1) / c_cut) p) || v_whole;
      v_good := null;
      continue;
    end if;

    if v_state = '55P03' then
      o_left := o_left || rowferry._as_not_taken(v_one);
      continue;
    elsif v_state in ('23503', '23505', '23P01') and o_left @> c_undecided then
      o_left := o_left || rowferry._as_not_taken(v_one, '{"untried": true}');
      continue;
    end if;
    v_refusal := rowferry._explain_refusal(v_state, v_attempt.o_error ->> 'message', v_attempt.o_error ->> 'detail', v_attempt.o_error ->> 'hint');
    v_lacks := v_state in ('23503', '23505', '23P01');
    if v_in_order and not v_lacks and rowferry._needs_of(v_one, p_needs) <> '[]' then
      -- It may be the fault of a row that came along: known once that has been tried by itself.
      select h.o_refusals[1] into v_refused
      from rowferry._hopeless(v_one, null, p_sections, p_needs, v_reasons || jsonb_path_query_array(o_left, '$[*] ? (exists (@.sqlstate))')) h;
      v_refusal := coalesce(v_refused, v_refusal);
      v_lacks := v_retried is null;
    end if;
    if v_state = '23503' then
      v_refusal := v_refusal || rowferry._missing_parent(v_one, v_attempt.o_error);
      begin
        v_orphan := rowferry._decide_orphan(p_peer, v_one, p_heard, v_attempt.o_error ->> 'schema', v_attempt.o_error ->> 'table');
      exception
        -- Without a look at the other table nothing is given up.
        when others or assert_failure then
          get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context;
          if rowferry._is_transient(v_state, v_context) then
            raise;
          end if;
          v_state := '23503';
          select null::text as o_give_up, null::jsonb as o_conflict, null::jsonb as o_refers into v_orphan;
      end;
      if v_orphan.o_give_up = 'drop' and (select bool_and(e.hops = -1) from unnest(v_one.event_hops, v_one.event_stamps) e (hops, stamp) where e.stamp is not null) then
        -- Each node has deleted the other's parent: to ask again would have no end.
        v_one.gone := v_one.keys;
        v_one.keys := null;
        v_one.column_values := array_fill(null::text, array[cardinality(v_one.columns)]);
        v_one.event_hops := null;  -- what the rule says is no answer to a skip
        v_attempt := rowferry._try_sections(p_peer, array[v_one], p_heard, p_known, v_waiting, false, null);
        v_tries := v_tries + v_attempt.o_tries;
        if v_attempt.o_error is not null then
          o_left := o_left || rowferry._as_not_taken(v_one, v_refusal);
          continue;
        end if;
        o_left := o_left || v_attempt.o_busy;
        o_applied := o_applied + 1 - rowferry._not_taken_count(v_attempt.o_busy);
        if v_attempt.o_busy = '[]' then
          o_conflicts := o_conflicts || v_orphan.o_conflict || v_attempt.o_conflicts;
          insert into rowferry.events (changed_at, entity_id, event_type, record_id)
          select rowferry._now(), e.id, 'a', v_one.gone[1] from rowferry.entities e where e.name = v_one.entity;
        end if;
        continue;
      elsif v_orphan.o_give_up is not null then
        o_left := o_left || rowferry._as_not_taken(v_one, v_refusal || jsonb_build_object('give_up', v_orphan.o_give_up));
        o_conflicts := o_conflicts || v_orphan.o_conflict;
        continue;
      elsif v_orphan.o_refers is not null then
        v_refusal := v_refusal || jsonb_build_object('refers', v_orphan.o_refers);
      end if;
    end if;
    if v_lacks then
      v_aside := v_aside || v_one;
      v_reasons := v_reasons || rowferry._as_not_taken(v_one, v_refusal);
    else
      o_left := o_left || rowferry._as_not_taken(v_one, v_refusal);
    end if;
    if v_good is not null and v_in_order then
      -- Those of the same section that need it are not tried.
      select h.o_keys, h.o_refusals into v_missing, v_refusals
      from rowferry._hopeless(v_section, null, p_sections, p_needs, rowferry._as_not_taken(v_one, v_refusal)) h;
      if v_missing is not null then
        v_refused := (
          select jsonb_agg(jsonb_build_object('entity', v_section.entity, 'record_id', m.record_id) || m.refusal)
          from unnest(v_missing, v_refusals) m (record_id, refusal));
        if v_lacks then
          v_aside := v_aside || rowferry._section_part(v_section, v_missing, true);
          v_reasons := v_reasons || v_refused;
        else
          o_left := o_left || v_refused;
        end if;
        v_section := rowferry._section_part(v_section, v_missing, false);
        if coalesce(v_section.keys, v_section.gone, v_section.asked) is null then
          v_good := null;
        end if;
      end if;
    end if;
  end loop;

  o_left := o_left || case when cardinality(v_aside) > 0 then v_reasons else '[]' end;
  if v_in_order then
    o_left := rowferry._exchanging(o_left, p_needs);
  end if;
  if v_good is not null then
    -- No time for the rest of this one, but what is known to go need not come again.
    v_pieces := array(select p from rowferry._split_section(v_section, v_good, c_few) p) || v_pieces;
    if v_good > 0 then
      v_section := v_pieces[1];
      v_along := rowferry._needed(array[v_section], p_sections, p_needs);
      v_waiting := rowferry._still_waiting(p_waiting, v_whole || v_failed || v_pieces[2:], o_left || o_whole);
      v_attempt := rowferry._try_sections(p_peer, array[v_section] || v_along, p_heard, p_known, v_waiting, v_in_order, null, v_in_order, p_needs);
      if v_attempt.o_error is null then
        v_whole := (rowferry._sections_without(v_whole, null, v_along)).o_sections;
        v_pieces := (rowferry._sections_without(v_pieces[2:], null, v_along)).o_sections;
        v_failed := (rowferry._sections_without(v_failed, null, v_along)).o_sections;
        o_left := rowferry._entries_without(o_left, v_along) || v_attempt.o_busy;
        o_conflicts := o_conflicts || v_attempt.o_conflicts;
        o_applied := o_applied + rowferry._record_count(array[v_section] || v_along) - rowferry._not_taken_count(v_attempt.o_busy);
      end if;
    end if;
  end if;
  -- Nothing else could be written either: it is the server's, and no table is blamed.
  if v_resource is not null and o_applied = 0 then
    raise exception using errcode = v_resource ->> 'sqlstate', message = v_resource ->> 'message', hint = coalesce(v_resource ->> 'hint', '');
  end if;
  foreach v_section in array v_whole || v_pieces || v_failed loop
    o_left := o_left || rowferry._as_not_taken(v_section, '{"untried": true}');
  end loop;
end
$$;
comment on function rowferry._apply_piecewise(text, rowferry._section[], int8multirange, int8multirange, text[], text, jsonb) is 'Applies what it can of sections that cannot be applied as one.';
