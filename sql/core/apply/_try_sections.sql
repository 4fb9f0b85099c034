create or replace function rowferry._try_sections(
  p_peer text,
  p_sections rowferry._section[],
  p_heard int8multirange,
  p_known int8multirange,
  p_waiting text[],
  p_needs rowferry._need[],
  p_deletes_first boolean,
  p_good integer,
  out o_busy rowferry._not_taken[],
  out o_conflicts jsonb,
  out o_error jsonb,
  out o_failed text[],
  out o_tries integer
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  c_tries constant integer := 6;
  v_in_order constant boolean := coalesce(cardinality(p_needs) > 0, false);
  -- What users' tables and triggers need is planned as elsewhere, unless a plan for each value would copy a large value, again and again.
  v_plans constant text := case when pg_column_size(p_sections) > 4194304 or rowferry._patient(false) then 'force_generic_plan' else 'auto' end;
  v_sections rowferry._section[];
  v_piece rowferry._section;
  v_decided record;
  v_after bigint;  -- the last event before the sections are written
  v_everything boolean;
  v_plain boolean;
  v_seen record;
  v_left rowferry._not_taken[] := '{}';
  v_kept jsonb := '[]';
  v_kept_rows jsonb := '[]';
  v_again boolean;
  v_state text;
  v_context text;
  v_message text;
  v_detail text;
  v_hint text;
  v_schema text;
  v_table text;
  v_constraint text;
begin
  for v_try in 1 .. c_tries loop
    o_tries := coalesce(o_tries, 0) + case when v_try > 1 then cardinality(p_sections) else 0 end + 1;
    begin
      o_busy := '{}';
      v_again := false;
      v_sections := p_sections;
      v_after := coalesce(pg_sequence_last_value('rowferry.events_id_seq'), 0);
      set constraints all deferred;
      if v_try > 1 then
        v_decided := rowferry._leave_locked(v_sections);
        v_sections := v_decided.o_sections;
        o_busy := v_decided.o_left;
      end if;
      v_decided := rowferry._decide_sections(p_peer, v_sections, p_heard, p_known);
      v_sections := v_decided.o_sections;
      o_conflicts := v_decided.o_conflicts;
      o_busy := o_busy || v_decided.o_left;
      perform set_config('plan_cache_mode', v_plans, true);
      if v_in_order and p_deletes_first then
        perform rowferry._delete_wanted(v_sections, p_needs, rowferry._still_waiting(p_waiting, v_sections, o_busy), v_after, p_heard);
      end if;
      -- Rows that stay as they are here are not marked, because a cascade may delete them.
      v_everything := rowferry._mark_applying(v_sections);
      if p_good is null then
        perform rowferry._write_sections(v_sections, null, v_in_order);
      else
        for v_piece in select * from rowferry._split_section(v_sections[1], p_good, 1) loop
          o_failed := v_piece.keys || v_piece.gone || v_piece.asked;
          perform rowferry._write_sections(v_piece || (rowferry._needed(v_piece, v_sections, p_needs)).o_along, null, v_in_order);
        end loop;
        o_failed := null;
      end if;
      -- Before PostgreSQL 18 the next call in this transaction tells by what this leaves that nobody else has written (_begin_deferred).
      v_plain := rowferry._plain_tables(array(select (v_sections[i]).entity from generate_subscripts(v_sections, 1) i));
      if not v_plain or current_setting('server_version_num')::integer < 180000 then
        perform rowferry._finish(v_sections);
      end if;
      perform rowferry._pass_on(p_peer, v_sections, v_after) where exists (select from rowferry.links l where l.peer <> p_peer);
      perform set_config('plan_cache_mode', 'force_generic_plan', true);
      perform rowferry._refuse_cascade(v_sections, rowferry._still_waiting(p_waiting, '{}', o_busy), v_after, p_heard, null)
      where exists (select from generate_subscripts(v_sections, 1) i where (v_sections[i]).gone is not null);
      v_seen := rowferry._look_after_write(v_sections, p_heard, v_decided.o_decided, v_after, v_plain);
      -- Decide again if a cascade took rows that were not read before it, or if a trigger was just added to a table.
      v_again := v_seen.o_moved <> '{}' or v_seen.o_may_differ and v_everything;
      if v_seen.o_lost <> '[]' then
        v_again := v_again or exists (select jsonb_array_elements(v_seen.o_lost) except select jsonb_array_elements(v_kept));
      end if;
      if v_again then
        raise exception using errcode = 'RF100', message = 'what was applied has to be decided again';
      end if;
      if v_seen.o_may_differ then
        perform rowferry._note_differing(v_sections[i]) from generate_subscripts(v_sections, 1) i;
      end if;
      -- From here on every write is captured as usual.
      delete from rowferry.applying a where a.transaction_id = pg_current_xact_id();
      perform set_config('rowferry.applying', '', true);
      o_busy := o_busy || v_left;
      o_conflicts := o_conflicts || case when v_seen.o_lost <> '[]' then v_kept_rows else '[]' end;
      return;
    exception
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context, v_message = message_text, v_detail = pg_exception_detail,
          v_hint = pg_exception_hint, v_schema = schema_name, v_table = table_name, v_constraint = constraint_name;
        -- If space or a file is missing, one table may be the cause; the caller finds out which.
        if rowferry._stops_every_table(v_state, v_context) then
          raise;
        elsif not v_again then
          -- PostgreSQL 18 has an SQLSTATE of its own for ON DELETE RESTRICT; it is handled like that of other foreign keys.
          o_error := jsonb_build_object('sqlstate', case v_state when '23001' then '23503' else v_state end, 'message', v_message, 'detail', v_detail,
            'hint', v_hint, 'schema', v_schema, 'table', v_table, 'constraint', v_constraint, 'resource', rowferry._is_transient(v_state, v_context),
            'whole', v_state in ('42P01', '42703', '42704', '42804', '42846', '42883', 'RF039') and not rowferry._in_users_code(v_context),
            'advised', v_constraint = 'rowferry' and not rowferry._in_users_code(v_context));
          return;
        end if;
    end;
    if v_try > 1 and v_seen.o_moved <> '{}' then
      -- All rows were locked, so these are records that have no row. They are left for the next batch.
      v_left := v_left || v_seen.o_moved;
      p_sections := array(
        select rowferry._section_part(p_sections[i], array(
          select unnest(m.records) from unnest(v_seen.o_moved) m where m.entity = (p_sections[i]).entity), false)
        from generate_subscripts(p_sections, 1) i order by i);
    end if;
    v_kept := v_seen.o_lost;
    v_kept_rows := rowferry._with_rows(p_peer, v_kept);
    exit when clock_timestamp() > statement_timestamp() + nullif(current_setting('statement_timeout')::interval, '0') * 0.4;
  end loop;
  -- Users change these records faster than they can be applied, so the next batch is smaller.
  o_busy := v_left || rowferry._untried(p_sections);
  o_conflicts := '[]';
end
$$;
comment on function rowferry._try_sections(text, rowferry._section[], int8multirange, int8multirange, text[], rowferry._need[], boolean, integer) is
  'Applies sections as one, in one subtransaction for each try: all of them, or nothing and o_error. It decides what both nodes changed, writes, and looks '
  'for changes that users committed in the meantime. If there are any, it rolls back, locks all rows and decides again. o_busy has the records that were not '
  'taken. p_waiting names entities whose changes are not all here yet, so no delete may take their rows by a cascade. With p_needs, records are written in an '
  'order in which unique values become free. With p_deletes_first, the rows that hold such values are deleted first. With p_good only the first section is '
  'tried. Rows of other sections are written only if its records need them. Its first p_good records are known to work; the others are written one by one, so '
  'that o_failed names the one that is refused. o_tries counts what this has cost.';
