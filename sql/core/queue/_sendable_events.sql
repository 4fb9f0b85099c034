-- The oldest events within p_gaps that are free to go: neither held nor skipped; p_moved: those of rows that moved too. In the order of ids, whatever the statistics say, since the ranges come in
-- order. Fully qualified and without SET, so that it is inlined where each argument is a variable, and planned as its caller wants it.
create or replace function rowferry._sendable_events(
  p_entity_ids integer[],
  p_gaps int8multirange,
  p_held boolean,
  p_skips boolean,
  p_limit integer,
  p_moved boolean
)
returns setof rowferry.events
language sql
stable
as $$
  select f.*
  from pg_catalog.unnest(p_gaps) g
  cross join lateral (
    select e.*
    from rowferry.events e
    where e.id operator(pg_catalog.>=) pg_catalog.lower(g) and e.id operator(pg_catalog.<) pg_catalog.upper(g)
      and e.entity_id operator(pg_catalog.+) 0 operator(pg_catalog.=) any (p_entity_ids)
      and (p_moved or e.event_type operator(pg_catalog.<>) 'w'::pg_catalog."char")
      and not (p_held and exists (select from rowferry.held_events h where h.event_id operator(pg_catalog.=) e.id))
      and not (p_skips and exists (select from rowferry.skips s
        where s.done_at is null and s.entity_id operator(pg_catalog.=) e.entity_id and rowferry._index_key(s.record_id) operator(pg_catalog.=) rowferry._index_key(e.record_id)
          and e.id operator(pg_catalog.<@) s.ids))
    order by e.id
    limit p_limit
  ) f
  limit p_limit
$$;
comment on function rowferry._sendable_events(integer[], int8multirange, boolean, boolean, integer, boolean) is 'The oldest events within these ranges that are free to go.';
