-- The planner inlines this function into the query that calls it, with that query's settings; each argument is a variable there. So it has no settings, and
-- each name is qualified. The ranges are in order, and within each the events are, so that no plan needs to sort, whatever the statistics say.
create or replace function rowferry._sendable_events(
  p_entity_ids integer[],
  p_gaps int8multirange,
  p_limit integer,
  p_held boolean default false,
  p_skipped boolean default false,
  p_moved boolean default false
)
returns setof rowferry.events
language sql
stable
as $$
  select f.*
  from pg_catalog.unnest(p_gaps) g
  cross join lateral (
    select q.id, q.changed_at, q.entity_id, q.hops, q.event_type, q.record_id, q.place
    from rowferry._queue q
    where q.id operator(pg_catalog.>=) pg_catalog.lower(g) and q.id operator(pg_catalog.<) pg_catalog.upper(g)
      and q.entity_id operator(pg_catalog.+) 0 operator(pg_catalog.=) any (p_entity_ids)
      and (p_moved or not q.moved) and (p_held or not q.held) and (p_skipped or not q.skipped)
    order by q.id
    limit p_limit
  ) f
  limit p_limit
$$;
comment on function rowferry._sendable_events(integer[], int8multirange, integer, boolean, boolean, boolean) is
  'The oldest events of these entities, within these ranges of ids, that may be sent: they are neither held, nor skipped, nor a move whose followers are '
  'still to be looked at. p_held, p_skipped and p_moved include those that are.';
