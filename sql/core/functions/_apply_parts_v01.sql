-- Finds the rows that are refused by asking for those without a parent, then by halving, in at most 60 subtransactions and 0.7 of the statement's time, and applies all others. Rows refused for want of
-- another row (foreign key, unique value) are tried together, then again one by one as long as that helps. Rows first, parents before
-- children; then those that are gone, children first. An answer that the orphan rule drop gives up is deleted on both nodes.
create or replace function rowferry._apply_parts(
  p_peer text,
  p_sections rowferry._section[],
  p_heard int8multirange,
  p_known int8multirange,
  out o_left jsonb,
  out o_conflicts jsonb
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
  v_deadline timestamptz := statement_timestamp() + coalesce(nullif(current_setting('statement_timeout')::interval, '0'), '1 s') * 0.7;
  v_stack rowferry._section[] := '{}';
  v_gone rowferry._section[] := '{}';
  v_section rowferry._section;
  v_aside rowferry._section[] := '{}';
  v_reasons jsonb := '[]';
  v_retried integer;
  v_failed rowferry._section[] := '{}';
  v_apart boolean := false;
  v_attempt record;
  v_keys text[];
  v_half integer;
  v_state text;
  v_context text;
  v_message text;
  v_detail text;
  v_hint text;
  v_schema text;
  v_table text;
  v_refusal jsonb;
  v_orphan record;
  v_missing text[];
  v_single text[];
  v_dropped jsonb;
  v_constraints text[];
  v_key text;
begin
  o_left := '[]';
  o_conflicts := '[]';
  foreach v_section in array p_sections loop
    if v_section.gone is not null then
      v_gone := rowferry._section_part(v_section, v_section.gone, true) || v_gone;
    end if;
    if v_section.keys is not null or v_section.asked is not null then
      v_stack := v_stack || rowferry._section_part(v_section, v_section.keys || v_section.asked, true);
    end if;
  end loop;
  v_stack := v_stack || v_gone;

  for v_attempts in 1 .. 60 loop
    exit when v_attempts > 1 and clock_timestamp() > v_deadline;
    -- Each section has its turn as a whole before the first one that fails is taken apart.
    if cardinality(v_stack) = 0 and not v_apart then
      v_apart := true;
      v_stack := v_failed;
      v_failed := '{}';
    end if;
    if cardinality(v_stack) = 0 then
      exit when cardinality(v_aside) = 0 or cardinality(v_aside) = v_retried;
      begin
        v_attempt := rowferry._apply_attempt(p_peer, v_aside, p_heard, p_known, false);
        o_conflicts := o_conflicts || v_attempt.o_conflicts;
        o_left := o_left || v_attempt.o_busy;
        v_aside := '{}';
        exit;
      exception
        when others or assert_failure then
          get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context;
          if rowferry._is_transient(v_state, v_context) then
            raise;
          end if;
      end;
      v_retried := cardinality(v_aside);
      v_stack := v_aside;
      v_aside := '{}';
      v_reasons := '[]';
    end if;
    v_section := v_stack[1];
    v_stack := v_stack[2:];
    v_keys := v_section.keys || v_section.gone || v_section.asked;
    begin
      v_attempt := rowferry._apply_attempt(p_peer, array[v_section], p_heard, p_known, false);
      if v_dropped is not null then
        insert into rowferry.events (changed_at, entity_id, event_type, record_id)
        select rowferry._now(), e.id, 'a', v_keys[1] from rowferry.entities e where e.name = v_section.entity;
        o_conflicts := o_conflicts || v_dropped;
        v_dropped := null;
      end if;
      o_conflicts := o_conflicts || v_attempt.o_conflicts;
      o_left := o_left || v_attempt.o_busy;
    exception
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context, v_message = message_text, v_detail = pg_exception_detail, v_hint = pg_exception_hint,
          v_schema = schema_name, v_table = table_name;
        v_dropped := null;
        if rowferry._is_transient(v_state, v_context) then
          raise;
        elsif not v_apart then
          v_failed := v_failed || v_section;
        elsif cardinality(v_keys) > 1 then
          v_missing := null;
          if v_state = '23503' and v_section.keys is not null then
            -- One look finds all that have no parent here; the others are tried again without them.
            execute format('select * from rowferry.%I($1, $2)', rowferry._object_name('lacking_', v_section.entity)) into v_missing, v_constraints
            using v_section.column_values, v_section.keys;
          end if;
          if v_missing is null then
            v_half := cardinality(v_keys) / 2;
            v_stack := rowferry._section_part(v_section, v_keys[:v_half], true) || (rowferry._section_part(v_section, v_keys[v_half + 1:], true) || v_stack);
            continue;
          end if;
          -- Whether a row is given up, or need not be written because this node's own stays, is decided one by one.
          select case when e.orphan_rule = 'drop' then v_missing else coalesce(rowferry._own_events(e.id, v_missing, p_heard, '{}'), '{}') end
          into v_single
          from rowferry.entities e
          where e.name = v_section.entity;
          o_left := o_left || rowferry._left_entries(rowferry._section_part(v_section, v_single[21:], true), '{"untried": true}');
          foreach v_key in array v_single[:20] loop
            v_stack := v_stack || rowferry._section_part(v_section, array[v_key], true);
          end loop;
          if cardinality(v_single) < cardinality(v_missing) then
            v_aside := v_aside || rowferry._section_part(v_section, array(select k from unnest(v_missing) k where k <> all (v_single)), true);
            v_reasons := v_reasons || (
              select jsonb_agg(jsonb_build_object('entity', v_section.entity, 'record_id', m.record_id)
                || rowferry._refusal('23503', format('violates foreign key constraint "%s", its parent is missing', m.name), null, null))
              from unnest(v_missing, v_constraints) m (record_id, name)
              where m.record_id <> all (v_single));
          end if;
          if cardinality(v_missing) < cardinality(v_keys) then
            v_stack := rowferry._section_part(v_section, v_missing, false) || v_stack;
          end if;
        elsif v_state = '55P03' then
          o_left := o_left || rowferry._left_entries(v_section);
        elsif v_state in ('23503', '23505', '23P01') then
          v_refusal := rowferry._refusal(v_state, v_message, v_detail, v_hint);
          if v_state = '23503' then
            v_orphan := rowferry._orphan(p_peer, v_section, p_heard, v_schema, v_table);
            if v_orphan.o_give_up = 'drop' and (select bool_and(s = '-infinity') from unnest(v_section.event_stamps) s) then
              -- Each node has deleted the other's parent: to ask again would have no end.
              v_dropped := v_orphan.o_conflict;
              v_section.gone := v_section.keys;
              v_section.keys := null;
              v_section.column_values := null;
              v_stack := v_section || v_stack;
              continue;
            elsif v_orphan.o_give_up is not null then
              o_left := o_left || rowferry._left_entries(v_section, v_refusal || jsonb_build_object('give_up', v_orphan.o_give_up));
              o_conflicts := o_conflicts || v_orphan.o_conflict;
              continue;
            end if;
          end if;
          v_aside := v_aside || v_section;
          v_reasons := v_reasons || rowferry._left_entries(v_section, v_refusal);
        else
          o_left := o_left || rowferry._left_entries(v_section, rowferry._refusal(v_state, v_message, v_detail, v_hint));
        end if;
    end;
  end loop;

  o_left := o_left || case when cardinality(v_aside) > 0 then v_reasons else '[]' end;
  foreach v_section in array v_stack || v_failed loop
    o_left := o_left || rowferry._left_entries(v_section, '{"untried": true}');
  end loop;
end
$$;
comment on function rowferry._apply_parts(text, rowferry._section[], int8multirange, int8multirange) is 'Applies what it can of sections that cannot be applied as one.';
revoke all on function rowferry._apply_parts(text, rowferry._section[], int8multirange, int8multirange) from public;
