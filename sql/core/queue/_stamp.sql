-- The planner inlines this function into the query that calls it, so it has no settings, and each name is qualified.
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
comment on function rowferry._stamp(rowferry.events) is
  'What a conflict compares of an event: the clock time of a change by a user; -infinity for a consequence, a backfill or an answer, which lose to every '
  'change by a user; null for a question.';
