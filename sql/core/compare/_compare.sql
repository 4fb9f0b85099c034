create or replace function rowferry._compare(
  p_link rowferry.links,
  p_heard jsonb
)
returns jsonb
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_timeout interval := current_setting('statement_timeout');
  v_late boolean := clock_timestamp() > statement_timestamp() + 0.5 * current_setting('deadlock_timeout')::interval;
  v_said jsonb := '{}';
  v_question jsonb := p_heard -> 'question';
  v_asked jsonb;
  v_step text;
  v_state text;
  v_context text;
  v_message text;
  v_slow boolean;
begin
  if p_heard is null and not exists (select from rowferry.comparisons c where c.peer = p_link.peer and c.state in ('queued', 'walking', 'resolving')) then
    return v_said;
  end if;
  foreach v_step in array array['hear', 'answer', 'ask'] loop
    continue when v_step = 'hear' and p_heard -> 'answer' is null or v_step = 'answer' and v_question is null
      or v_step = 'ask' and (v_late or not p_link.ready
        or not exists (select from rowferry.comparisons c where c.peer = p_link.peer and c.state in ('queued', 'walking', 'resolving')));
    begin
      if v_step = 'hear' then
        perform rowferry._compare_hear(p_link.peer, p_heard -> 'answer');
      elsif v_step = 'answer' then
        v_said := v_said || jsonb_build_object('answer', case
          when v_late then jsonb_build_object('run', v_question -> 'run', 'step', v_question -> 'step', 'slow', true)
          else rowferry._compare_answer(p_link.peer, v_question) end);
      else
        v_asked := rowferry._compare_ask(p_link);
        v_said := v_said || case when v_asked is null then '{}' else jsonb_build_object('question', v_asked) end;
      end if;
    exception
      when others or assert_failure or query_canceled then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context, v_message = message_text;
        v_slow := v_state = '57014' and v_timeout > interval '0' and clock_timestamp() > statement_timestamp() + v_timeout * 0.9;
        if not v_slow and rowferry._is_transient(v_state, v_context) then
          raise;
        elsif v_step = 'answer' then
          v_said := v_said || jsonb_build_object('answer', jsonb_build_object('run', v_question -> 'run', 'step', v_question -> 'step', 'slow', v_slow,
            'error', case when not v_slow then format('%s: %s (%s)', (select n.name from rowferry.node n), v_message, v_state) end));
        else
          update rowferry.comparisons c
          set sent_at = null, chunk = greatest(1, c.chunk / 4), unanswered = c.unanswered + 1,
            state = case when v_slow then c.state else 'failed' end, error = case when not v_slow then format('%s (%s)', v_message, v_state) end,
            finished_at = case when not v_slow then rowferry._now() end
          where c.id = (select min(o.id) from rowferry.comparisons o where o.peer = p_link.peer and o.state in ('queued', 'walking', 'resolving'));
        end if;
    end;
  end loop;
  return case when v_said = '{}' then v_said else jsonb_build_object('compare', v_said) end;
end
$$;
comment on function rowferry._compare(rowferry.links, jsonb) is
  'What comparisons have to say in this envelope, for its header: {} or {"compare": ..}. p_heard is what the peer''s envelope said about them, if it may be '
  'acted on. The function must run after the batch was read. Then a row that changed between the two snapshots has an event in the later one, and is left '
  'out. In the other order its new value could reach the peer before its old hash. An error fails the comparison, never the exchange.';
