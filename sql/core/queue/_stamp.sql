-- What a conflict compares: the time of a real change; a consequence, a backfill or an answer loses to every real change; a question has no stamp.
create or replace function rowferry._stamp(
  p_event rowferry.events
)
returns timestamptz
language sql
immutable
parallel safe
as $$
  select case
    when (p_event).event_type operator(pg_catalog.=) 'q'::pg_catalog."char" then null
    when (p_event).hops operator(pg_catalog.>) 0 or (p_event).event_type operator(pg_catalog.=) 'a'::pg_catalog."char"
      or (p_event).event_type operator(pg_catalog.=) 'b'::pg_catalog."char" then '-infinity'::pg_catalog.timestamptz
    else (p_event).changed_at
  end
$$;
comment on function rowferry._stamp(rowferry.events) is 'What a conflict compares of an event.';
