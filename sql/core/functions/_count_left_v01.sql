-- Counts the events that a statement removes, by cause, in the transaction that removes them: whichever function did it, it is not its own witness. The cause
-- is read from the call stack. What is removed by no function of rowferry's is a problem for audit().
create or replace function rowferry._count_left()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_context text;
  v_callers text[];
  v_caller text;
  v_cause text;
  v_left record;
begin
  get diagnostics v_context = pg_context;
  v_callers := array(select m[1] from regexp_matches(v_context, '^PL/pgSQL function ([^ (]+)', 'gn') m);
  v_caller := case v_callers[2] when 'rowferry._delete_events' then v_callers[3] else v_callers[2] end;
  v_cause := case
    when v_caller = 'rowferry._hear' then 'taken'
    when v_caller = 'rowferry._settle' then 'lost'
    when v_caller = 'rowferry._perform_skips' then 'skipped'
    when v_caller in ('rowferry._coalesce', 'rowferry._coalesce_records') then 'coalesced'
    when v_caller = 'rowferry.detach' then 'detached'
    when v_caller like 'rowferry.%' then substring(v_caller from 10)
    else 'by hand'
  end;
  if tg_op = 'TRUNCATE' then
    for v_left in
      select n.peer, count(*) as events from rowferry.events e join rowferry.entities n on n.id = e.entity_id group by n.peer
    loop
      perform rowferry._add_left(v_left.peer, v_cause, v_left.events);
    end loop;
    return null;
  end if;
  for v_left in
    select n.peer, sum(e.events) as events
    from (select o.entity_id, count(*) as events from old_rows o group by o.entity_id) e
    join rowferry.entities n on n.id = e.entity_id
    group by n.peer
  loop
    perform rowferry._add_left(v_left.peer, v_cause, v_left.events::bigint);
  end loop;
  return null;
end
$$;
comment on function rowferry._count_left() is 'Counts the events that a statement removes, by cause.';
revoke all on function rowferry._count_left() from public;
