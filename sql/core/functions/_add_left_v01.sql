-- Adds to the sum of events that have left a link for one cause.
create or replace function rowferry._add_left(
  p_peer text,
  p_cause text,
  p_events bigint
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into rowferry.left_events as l (peer, cause, events)
  values (p_peer, p_cause, p_events)
  on conflict (peer, cause) do update set events = l.events + excluded.events;
  if p_cause = 'by hand' then
    perform rowferry._note_problem(p_peer, 'events removed by hand', format('the last time %s, by %s', p_events, session_user));
  end if;
end
$$;
comment on function rowferry._add_left(text, text, bigint) is 'Adds to the sum of events that have left a link.';
revoke all on function rowferry._add_left(text, text, bigint) from public;
