-- Applies sections as one: all of them, or nothing and o_error. Decide what both sides changed, write, then look, in a newer statement, for
-- changes of this node that came in meanwhile; found some: roll back and decide again; records that moved once more are left as busy.
-- p_good (null: write all at once): so many records of the one section are known to go, the others are written one by one, so that the
-- first one refused is known. o_failed: the records of the piece that was refused, null if it was none. One subtransaction a try.
create or replace function rowferry._apply_attempt(
  p_peer text,
  p_sections rowferry._section[],
  p_heard int8multirange,
  p_known int8multirange,
  p_deletes_first boolean,
  p_good integer,
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
  v_sections rowferry._section[];
  v_settled record;
  v_decided int8multirange;
  v_moving text[];
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
  v_after bigint;
  v_entities text[] := '{}';
  v_many boolean := false;
  v_may_differ boolean;
  v_everything boolean;
  v_lost jsonb;
  v_kept jsonb := '[]';
  v_stay text[];
  v_skips boolean := rowferry._any_skip();
  v_unsettled boolean := v_skips or exists (select from rowferry.entities e where e.unsettled_since is not null);
begin
  for i in 1 .. cardinality(p_sections) loop
    v_entities := v_entities || p_sections[i].entity;
    v_many := v_many or cardinality(p_sections[i].keys) > 200 or cardinality(p_sections[i].gone) > 200;
  end loop;
  v_many := coalesce(v_many, false);
  for v_try in 1 .. 5 + cardinality(p_sections) loop
    o_tries := v_try;
    begin
      o_busy := '[]';
      o_conflicts := '[]';
      o_failed := null;
      v_sections := p_sections;
      v_decided := '{}';
      v_moving := null;
      v_lost := '[]';
      v_after := pg_sequence_last_value(pg_get_serial_sequence('rowferry.events', 'id')::regclass);
      set constraints all deferred;
      for i in 1 .. cardinality(p_sections) loop
        v_entity_id := (select e.id from rowferry.entities e where e.name = (p_sections[i]).entity);
        continue when not rowferry._may_own_events(v_entity_id)
          or rowferry._own_events(v_entity_id, (p_sections[i]).keys || (p_sections[i]).gone || (p_sections[i]).asked, p_heard, '{}') is null;
        select * into v_settled from rowferry._settle(p_peer, p_sections[i], p_heard, p_known);
        v_sections[i] := v_settled.o_section;
        v_decided := v_decided + v_settled.o_decided;
        o_conflicts := o_conflicts || v_settled.o_conflicts;
        o_busy := o_busy || coalesce((select jsonb_agg(jsonb_build_object('entity', p_sections[i].entity, 'record_id', k)) from unnest(v_settled.o_busy) k), '[]')
          || coalesce((select jsonb_agg(jsonb_build_object('entity', p_sections[i].entity, 'record_id', k, 'waiting', true))
            from unnest(v_settled.o_waiting) k), '[]');
      end loop;
      for i in 1 .. cardinality(v_sections) loop
        if v_skips and v_sections[i].gone is not null and v_sections[i].event_hops is not null then
          v_stay := rowferry._keep_given_up(v_sections[i]);
          if v_stay is not null then
            o_conflicts := (select coalesce(jsonb_agg(c), '[]') from jsonb_array_elements(o_conflicts) c where c ->> 'entity' <> v_sections[i].entity or c ->> 'record_id' <> all (v_stay));
            v_sections[i] := rowferry._section_part(v_sections[i], v_stay, false);
          end if;
        end if;
        if v_unsettled and coalesce(v_sections[i].keys, v_sections[i].gone) is not null then
          o_conflicts := o_conflicts || rowferry._overwritten(p_peer, v_sections[i], o_conflicts);
        end if;
      end loop;
      -- Nothing else can write these tables: to look costs as much as the keys of a few hundred records.
      v_everything := v_many and not rowferry._may_differ(v_entities);
      -- Not what stays as it is here: a cascade may take it.
      perform rowferry._mark_applying(v_entities, case when not v_everything then v_sections end);
      if p_good is null then
        perform rowferry._write_sections(v_sections, p_deletes_first);
      else
        for v_piece in select * from rowferry._pieces(v_sections[1], p_good, 1) loop
          o_failed := v_piece.keys || v_piece.gone || v_piece.asked;
          perform rowferry._write_sections(array[v_piece], p_deletes_first);
        end loop;
        o_failed := null;
      end if;
      perform rowferry._finish(v_sections);
      for i in 1 .. cardinality(v_sections) loop
        v_entity_id := (select e.id from rowferry.entities e where e.name = (v_sections[i]).entity);
        continue when not rowferry._may_own_events(v_entity_id);
        v_moving := rowferry._own_events(v_entity_id, v_sections[i].keys || v_sections[i].gone, p_heard, v_decided);
        if v_moving is not null then
          if v_try > 1 then
            v_left := v_left || (select jsonb_agg(jsonb_build_object('entity', v_sections[i].entity, 'record_id', k)) from unnest(v_moving) k);
            p_sections[i] := rowferry._section_part(p_sections[i], v_moving, false);
          end if;
          raise exception using errcode = 'RF100', message = 'a user changed a record that was being applied';
        end if;
      end loop;
      v_may_differ := rowferry._may_differ(v_entities);
      if v_everything and v_may_differ then
        raise exception using errcode = 'RF100', message = 'a trigger came to a table that was being applied';
      end if;
      if v_may_differ then
        -- What a cascade took has to be read before it is gone: once more from the start.
        v_lost := rowferry._lost_in_cascade(p_peer, coalesce(v_after, 0), p_heard);
        if (select count(*) from jsonb_array_elements(v_lost) l where l - 'loser_row' not in (select k - 'loser_row' from jsonb_array_elements(v_kept) k)) > 0 then
          raise exception using errcode = 'RF100', message = 'a cascade took a change of this node';
        end if;
        for i in 1 .. cardinality(v_sections) loop
          perform rowferry._note_differing(v_sections[i]);
        end loop;
      end if;
      perform rowferry._unmark_applying();
      o_busy := o_busy || v_left;
      if v_lost <> '[]' then
        o_conflicts := o_conflicts || v_kept;
      end if;
      return;
    exception
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context, v_message = message_text, v_detail = pg_exception_detail,
          v_hint = pg_exception_hint, v_schema = schema_name, v_table = table_name;
        -- Without room or a file it may be one table that lacks it: the caller finds out.
        if rowferry._stops_every_table(v_state, v_context) then
          raise;
        elsif v_state <> 'RF100' or v_context not like 'PL/pgSQL function rowferry._apply_attempt(%' then
          o_busy := '[]';
          o_conflicts := '[]';
          o_error := jsonb_build_object('sqlstate', v_state, 'message', v_message, 'detail', v_detail, 'hint', v_hint, 'schema', v_schema, 'table', v_table,
            'resource', rowferry._is_transient(v_state, v_context), 'whole', v_state in ('42P01', '42703', '42704', '42804', '42846', '42883', 'RF039') and not rowferry._in_users_code(v_context));
          return;
        end if;
    end;
    v_kept := rowferry._with_rows(v_lost);
  end loop;
  raise exception using errcode = '40001', message = 'users change these records faster than they can be applied';
end
$$;
comment on function rowferry._apply_attempt(text, rowferry._section[], int8multirange, int8multirange, boolean, integer) is
  'Applies sections as one, deciding conflicts, and deciding again when a user was faster.';
revoke all on function rowferry._apply_attempt(text, rowferry._section[], int8multirange, int8multirange, boolean, integer) from public;
