-- Counts the events that a statement removes, by cause, in the transaction that removes them: whichever function did it, it is not its own witness. The cause
-- is read from the call stack. What no function of rowferry's removes is a problem for audit().
create or replace function rowferry._count_left()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_context text;
  v_caller text;
  v_cause text;
begin
  get diagnostics v_context = pg_context;
  v_caller := substring(v_context from '\nPL/pgSQL function rowferry\.(?!_delete_events\()(\w+)\(');
  v_cause := case v_caller when '_hear' then 'taken' when '_settle' then 'lost' when '_perform_skips' then 'skipped' when 'skip_deletes' then 'skipped' when '_remove_superseded' then 'coalesced'
    when 'detach' then 'detached' else coalesce(v_caller, 'by hand') end;
  if tg_op = 'DELETE' then
    insert into rowferry.left_events as l (peer, cause, events)
    select n.peer, v_cause, sum(e.events)
    from (select o.entity_id, count(*) as events from old_rows o group by o.entity_id) e
    join rowferry.entities n on n.id = e.entity_id
    group by n.peer
    on conflict (peer, cause) do update set events = l.events + excluded.events;
  else
    insert into rowferry.left_events as l (peer, cause, events)
    select n.peer, v_cause, count(*)
    from rowferry.events e
    join rowferry.entities n on n.id = e.entity_id
    group by n.peer
    on conflict (peer, cause) do update set events = l.events + excluded.events;
  end if;
  if found and v_cause = 'by hand' then
    perform rowferry._note_problem(l.peer, 'events removed by hand', format('%s in all, the last time by %s', l.events, session_user))
    from rowferry.left_events l
    where l.cause = v_cause;
  end if;
  return null;
end
$$;
comment on function rowferry._count_left() is 'Counts the events that a statement removes, by cause.';
revoke all on function rowferry._count_left() from public;
