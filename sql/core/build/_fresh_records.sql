-- Fully qualified and without SET, so that it is inlined where each argument is a variable, and planned as its caller wants it.
create or replace function rowferry._fresh_records(
  p_entity_ids integer[],
  p_gaps int8multirange,
  p_held boolean,
  p_skips boolean,
  p_limit integer,
  p_most integer,
  p_looked integer
)
returns table (
  entity_id integer,
  keys text[],
  held text[],
  found bigint,
  repeated boolean,
  questions boolean
)
language sql
stable
as $$
  select f.entity_id,
    -- The one too many is the last of all, where events are grouped by hash, which keeps their order.
    case when pg_catalog.sum(f.found) over () operator(pg_catalog.>) p_limit and f.last_id operator(pg_catalog.=) pg_catalog.max(f.last_id) over ()
      then case when f.found operator(pg_catalog.>) 1 then f.keys[1:f.found operator(pg_catalog.-) 1] end else f.keys end,
    f.held,
    (pg_catalog.sum(f.found) over ())::pg_catalog.int8,
    pg_catalog.sum(f.repeated) over ()
      operator(pg_catalog.>=) greatest(1, (pg_catalog.sum(least(f.found, p_looked)) over ())::pg_catalog.int8 operator(pg_catalog./) 2),
    pg_catalog.bool_or(f.questions) over ()
  from (
    select g.*, (select pg_catalog.count(*) operator(pg_catalog.-) pg_catalog.count(distinct k) from pg_catalog.unnest(g.keys[1:p_looked]) k) as repeated
    from (
      select e.entity_id, pg_catalog.count(*)::pg_catalog.int4 as found, pg_catalog.max(e.id) as last_id, pg_catalog.array_agg(e.record_id) as keys,
        pg_catalog.array_agg(e.record_id) filter (where p_held and exists (select from rowferry.held_events h
          where h.entity_id operator(pg_catalog.=) e.entity_id
            and rowferry._index_key(h.record_id) operator(pg_catalog.=) rowferry._index_key(e.record_id))) as held,
        pg_catalog.bool_or(e.event_type operator(pg_catalog.=) 'q') as questions
      from rowferry._sendable_events(p_entity_ids, p_gaps, p_held, p_skips, p_most, false) e
      group by e.entity_id
    ) g
  ) f
$$;
comment on function rowferry._fresh_records(integer[], int8multirange, boolean, boolean, integer, integer, integer) is
  'The records of the oldest p_limit events within p_gaps that are free to go, by entity; p_most events, one more, are looked at. held: records of these '
  'that have a held event too. Of all entities together: found: how many of the p_most events there are; repeated: whether half of the first p_looked of '
  'each entity are of a record that has another one among them; questions: whether there are questions among them.';
