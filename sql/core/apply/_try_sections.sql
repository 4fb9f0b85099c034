-- Applies sections as one: all of them, or nothing and o_error. Decide what both sides changed, write, then look, in a newer statement, for
-- changes of this node that came in meanwhile; found some: roll back and decide again, this time with all rows locked. Then only records that have no row to lock can
-- move once more: these are left as busy. Where that takes too long, the others are left untried. o_busy: all that is left.
-- p_good (null: write all at once): so many records of the one section are known to go, the others are written one by one, so that the
-- first one refused is known. p_waiting: entities of which changes are still to come, so that no delete may take their rows along. o_failed: the records of the piece that was refused, null if it was none. One subtransaction a try. p_needs: which records need which
-- others (_needs); with p_deletes_first what holds a unique value that others want is deleted before all else. With p_good only the first section is tried, and the others come along as far as its rows need them. p_in_order: as for _write_sections.
create or replace function rowferry._try_sections(
  p_peer text,
  p_sections rowferry._section[],
  p_heard int8multirange,
  p_known int8multirange,
  p_waiting text[],
  p_deletes_first boolean,
  p_good integer,
  p_in_order boolean default false,
  p_needs jsonb default null,
  out o_busy jsonb,
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
  c_cost constant integer := 25;  -- a conflict costs about so many times what it took to read a record of the batch until here
  v_until timestamptz := statement_timestamp() + nullif(current_setting('statement_timeout')::interval, '0') * 0.4;
  v_records integer := 0;
  v_conflicts integer;
  v_most integer;
  v_sections rowferry._section[];
  v_settled record;
  v_decided int8multirange;
  v_keys text[];
  v_moving boolean;
  v_left jsonb := '[]';
  v_entity_id integer;
  v_piece rowferry._section;
  v_state text;
  v_context text;
  v_message text;
  v_detail text;
  v_hint text;
  v_schema text;
  v_table text;
  v_constraint text;
  v_after bigint;
  v_entities text[] := '{}';
  v_many boolean := false;
  v_first rowferry._section[];
  v_may_differ boolean;
  v_everything boolean;
  v_deletes boolean;
  v_lost jsonb;
  v_kept jsonb := '[]';
  v_kept_rows jsonb := '[]';
  v_stay text[];
  v_skips boolean := rowferry._any_skip();
  v_unsettled boolean := v_skips or exists (select from rowferry.entities e where e.unsettled_since is not null);
begin
  for i in 1 .. cardinality(p_sections) loop
    v_entities := v_entities || p_sections[i].entity;
    v_many := v_many or cardinality(p_sections[i].keys) > 200 or cardinality(p_sections[i].gone) > 200;
    v_records := v_records + coalesce(cardinality(p_sections[i].keys), 0) + coalesce(cardinality(p_sections[i].gone), 0);
  end loop;
  v_many := coalesce(v_many, false);
  v_deletes := exists (select from generate_subscripts(p_sections, 1) i where (p_sections[i]).gone is not null);
  -- All of them together have the time of a batch, a quarter of deadlock_timeout.
  v_conflicts := greatest(100, v_records * extract(epoch from current_setting('deadlock_timeout')::interval / 4 / c_cost)
    / greatest(0.001, extract(epoch from clock_timestamp() - statement_timestamp())));
  o_tries := 0;
  for v_try in 1 .. c_tries loop
    o_tries := o_tries + case when v_try > 1 then cardinality(p_sections) else 0 end + 1;
    begin
      o_busy := '[]';
      o_conflicts := '[]';
      o_failed := null;
      v_sections := p_sections;
      v_decided := '{}';
      v_moving := false;
      v_most := v_conflicts;
      v_lost := '[]';
      v_after := pg_sequence_last_value(pg_get_serial_sequence('rowferry.events', 'id')::regclass);
      set constraints all deferred;
      if v_try > 1 then
        select l.o_sections, l.o_left into v_sections, o_busy from rowferry._leave_locked(v_sections) l;
      end if;
      for i in 1 .. cardinality(v_sections) loop
        v_entity_id := (select e.id from rowferry.entities e where e.name = (v_sections[i]).entity);
        continue when not rowferry._may_own_events(v_entity_id);
        v_keys := rowferry._unseen_changes(v_entity_id, (v_sections[i]).keys || (v_sections[i]).gone || (v_sections[i]).asked, p_heard, '{}');
        continue when v_keys is null;
        select * into v_settled from rowferry._decide(p_peer, v_sections[i], v_keys, v_most, p_heard, p_known);
        v_sections[i] := v_settled.o_section;
        v_decided := v_decided + v_settled.o_decided;
        o_conflicts := o_conflicts || v_settled.o_conflicts;
        o_busy := o_busy || v_settled.o_left;
        v_most := v_most - v_settled.o_weighed;
      end loop;
      for i in 1 .. cardinality(v_sections) loop
        if v_skips and v_sections[i].gone is not null and v_sections[i].event_hops is not null then
          v_stay := rowferry._keep_given_up(v_sections[i]);
          if v_stay is not null then
            o_conflicts := rowferry._conflicts_without(o_conflicts, v_sections[i].entity, v_stay);
            v_sections[i] := rowferry._section_part(v_sections[i], v_stay, false);
          end if;
        end if;
        if v_unsettled and coalesce(v_sections[i].keys, v_sections[i].gone) is not null then
          o_conflicts := o_conflicts || rowferry._overwritten(p_peer, v_sections[i], o_conflicts);
        end if;
      end loop;
      -- Nothing else can write these tables: to look costs as much as the keys of a few hundred records.
      v_everything := v_many and not rowferry._may_differ(v_entities);
      v_first := case when p_deletes_first then rowferry._wanted_gone(v_sections, p_needs) else '{}' end;
      if v_first <> '{}' then
        -- Nothing else is marked yet: a row that is taken along, and that the peer has not deleted, must not be made anew.
        perform rowferry._mark_applying(v_entities, v_first);
        perform rowferry._write_sections(v_sections, v_first, false);
        perform rowferry._refuse_cascade(v_sections, rowferry._still_waiting(p_waiting, v_sections, o_busy), coalesce(v_after, 0), p_heard, (
          select format('Give row %s of %s, which wants a unique value of row %s, another one on the node that sent it; once that has arrived, and the delete has gone, it can have this one again.',
            n ->> 1, n ->> 0, n ->> 3)
          from jsonb_array_elements(p_needs) n
          where n ->> 4 = '23505' and n ->> 6 is null and n ->> 2 = v_first[1].entity and n ->> 3 in (select unnest(v_first[1].gone))
          limit 1));
      end if;
      -- Not what stays as it is here: a cascade may take it.
      perform rowferry._mark_applying(v_entities, case when not v_everything then v_sections end);
      if p_good is null then
        perform rowferry._write_sections(v_sections, null, p_in_order);
      else
        for v_piece in select * from rowferry._split_section(v_sections[1], p_good, 1) loop
          o_failed := v_piece.keys || v_piece.gone || v_piece.asked;
          perform rowferry._write_sections(case when p_in_order then array[v_piece] || rowferry._needed(array[v_piece], v_sections, p_needs) else array[v_piece] end, null, p_in_order);
        end loop;
        o_failed := null;
      end if;
      perform rowferry._finish(v_sections);
      if v_deletes then
        perform rowferry._refuse_cascade(v_sections, rowferry._still_waiting(p_waiting, '{}', o_busy), coalesce(v_after, 0), p_heard, null);
      end if;
      for i in 1 .. cardinality(v_sections) loop
        v_entity_id := (select e.id from rowferry.entities e where e.name = (v_sections[i]).entity);
        continue when not rowferry._may_own_events(v_entity_id);
        v_keys := rowferry._unseen_changes(v_entity_id, v_sections[i].keys || v_sections[i].gone, p_heard, v_decided);
        continue when v_keys is null;
        v_moving := true;
        if v_try > 1 then
          v_left := v_left || (select jsonb_agg(jsonb_build_object('entity', v_sections[i].entity, 'record_id', k)) from unnest(v_keys) k);
          for j in 1 .. cardinality(p_sections) loop
            if p_sections[j].entity = v_sections[i].entity then
              p_sections[j] := rowferry._section_part(p_sections[j], v_keys, false);
            end if;
          end loop;
        end if;
      end loop;
      if v_moving then
        raise exception using errcode = 'RF100', message = 'a user changed a record that was being applied';
      end if;
      v_may_differ := rowferry._may_differ(v_entities);
      if v_everything and v_may_differ then
        raise exception using errcode = 'RF100', message = 'a trigger came to a table that was being applied';
      end if;
      if v_may_differ then
        -- What a cascade took has to be read before it is gone: once more from the start.
        v_lost := rowferry._lost_in_cascade(coalesce(v_after, 0), p_heard);
        if (select count(*) from jsonb_array_elements(v_lost) l where l not in (select jsonb_array_elements(v_kept))) > 0 then
          raise exception using errcode = 'RF100', message = 'a cascade took a change of this node';
        end if;
        for i in 1 .. cardinality(v_sections) loop
          perform rowferry._note_differing(v_sections[i]);
        end loop;
      end if;
      perform rowferry._unmark_applying();
      o_busy := o_busy || v_left;
      if v_lost <> '[]' then
        o_conflicts := o_conflicts || v_kept_rows;
      end if;
      return;
    exception
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context, v_message = message_text, v_detail = pg_exception_detail,
          v_hint = pg_exception_hint, v_schema = schema_name, v_table = table_name, v_constraint = constraint_name;
        -- Without room or a file it may be one table that lacks it: the caller finds out.
        if rowferry._stops_every_table(v_state, v_context) then
          raise;
        elsif v_state <> 'RF100' or v_context not like 'PL/pgSQL function rowferry._try_sections(%' then
          o_busy := '[]';
          o_conflicts := '[]';
          -- PostgreSQL 18 has a state of its own for what a foreign key restricts; it is the same to all that follows.
          v_state := case v_state when '23001' then '23503' else v_state end;
          o_error := jsonb_build_object('sqlstate', v_state, 'message', v_message, 'detail', v_detail, 'hint', v_hint, 'schema', v_schema, 'table', v_table, 'constraint', v_constraint,
            'resource', rowferry._is_transient(v_state, v_context), 'whole', v_state in ('42P01', '42703', '42704', '42804', '42846', '42883', 'RF039') and not rowferry._in_users_code(v_context));
          return;
        end if;
    end;
    v_kept := v_lost;
    v_kept_rows := rowferry._with_rows(p_peer, v_lost);
    exit when clock_timestamp() > v_until;
  end loop;
  -- Users change these records faster than they can be applied: the next batch is smaller.
  o_busy := v_left;
  o_conflicts := '[]';
  for i in 1 .. cardinality(p_sections) loop
    o_busy := o_busy || rowferry._as_not_taken(p_sections[i], '{"untried": true}');
  end loop;
end
$$;
comment on function rowferry._try_sections(text, rowferry._section[], int8multirange, int8multirange, text[], boolean, integer, boolean, jsonb) is
  'Applies sections as one, deciding conflicts, and deciding again when a user was faster.';
