create or replace function rowferry._refuse_record(
  p_peer text,
  p_section rowferry._section,
  p_heard int8multirange,
  p_known int8multirange,
  p_waiting text[],
  p_error jsonb,
  p_blamed jsonb,
  p_undecided boolean,
  out o_left rowferry._not_taken[],
  out o_refused boolean,
  out o_conflicts jsonb,
  out o_tries integer
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_state text := p_error ->> 'sqlstate';
  v_refusal jsonb := coalesce(p_blamed, rowferry._explain_refusal(v_state, p_error ->> 'message', p_error ->> 'detail', p_error ->> 'hint')
    || case when (p_error ->> 'advised')::boolean then '{"advised": true}' else '{}' end::jsonb);
  v_orphan record;
  v_attempt record;
  v_context text;
begin
  o_refused := false;
  o_conflicts := '[]';
  o_tries := 0;
  if v_state = '55P03' then
    o_left := rowferry._as_not_taken(p_section, 'locked');
    return;
  elsif v_state in ('23503', '23505', '23P01') and p_undecided then
    -- The row that it lacks, or that has its unique value, may be among the conflicts that are left for the next call.
    o_left := rowferry._as_not_taken(p_section, 'untried');
    return;
  elsif v_state = '23503' then
    v_refusal := v_refusal || rowferry._missing_parent(p_section, p_error);
    begin
      v_orphan := rowferry._decide_orphan(p_peer, p_section, p_heard, p_error ->> 'schema', p_error ->> 'table');
      if v_orphan.o_give_up is not null then
        v_refusal := v_refusal || jsonb_build_object('give_up', v_orphan.o_give_up);
        o_conflicts := v_orphan.o_conflict;
      elsif v_orphan.o_refers is not null then
        v_refusal := v_refusal || jsonb_build_object('refers', v_orphan.o_refers);
      end if;
    exception
      -- Without a look at the other table nothing is given up.
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context;
        if rowferry._is_transient(v_state, v_context) then
          raise;
        end if;
    end;
  end if;
  o_refused := not v_refusal ? 'give_up';
  o_left := rowferry._as_not_taken(p_section, 'refused', v_refusal);
  if v_refusal ->> 'give_up' = 'drop' and (
      select bool_and(e.hops = -1) from unnest(p_section.event_hops, p_section.event_stamps) e (hops, stamp) where e.stamp is not null) then
    -- Each node has deleted the other's parent: to ask again would have no end, so the answer is deleted on both nodes.
    p_section.gone := p_section.keys;
    p_section.keys := null;
    p_section.column_values := array_fill(null::text, array[cardinality(p_section.columns)]);
    p_section.event_hops := null;  -- what the rule says is no answer to a skip
    v_attempt := rowferry._try_sections(p_peer, array[p_section], p_heard, p_known, p_waiting, null, false, null);
    o_tries := v_attempt.o_tries;
    o_left := case when v_attempt.o_error is null then v_attempt.o_busy else rowferry._as_not_taken(p_section, 'refused', v_refusal - 'give_up') end;
    o_conflicts := case when o_left = '{}' then o_conflicts || v_attempt.o_conflicts else '[]' end;
    if o_left = '{}' then
      insert into rowferry.events (changed_at, entity_id, event_type, record_id)
      select rowferry._now(), e.id, 'a', p_section.gone[1] from rowferry.entities e where e.name = p_section.entity;
    end if;
  end if;
end
$$;
comment on function rowferry._refuse_record(text, rowferry._section, int8multirange, int8multirange, text[], jsonb, jsonb, boolean) is
  'Decides what happens to the one record of a section that failed with p_error. o_left is its entry in the list of records that were not taken. The record '
  'was locked, or waits for conflicts that are still undecided, or is refused (o_refused), with the cause in another record if there is one (p_blamed), or '
  'is given up because the orphan rule says so. An answer that is given up is deleted on both nodes, and o_left is empty then.';
