-- The records of the oldest p_most events within p_gaps that are free to go, by entity; keys: of the first p_limit of these events; repeated: how many of the first
-- p_looked are of a record that has another one among them; held: records that have a held event too; questions: whether there are such events. Fully
-- qualified and without SET, so that it is inlined where each argument is a variable, and planned as its caller wants it.
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
  found bigint,
  keys text[],
  repeated bigint,
  held text[],
  questions boolean
)
language sql
stable
as $$
  select f.entity_id, pg_catalog.count(*),
    pg_catalog.array_agg(f.record_id) filter (where f.place operator(pg_catalog.<=) p_limit),
    (select pg_catalog.count(*) operator(pg_catalog.-) pg_catalog.count(distinct k)
      from pg_catalog.unnest(pg_catalog.array_agg(f.record_id) filter (where f.place operator(pg_catalog.<=) p_looked)) k),
    pg_catalog.array_agg(f.record_id) filter (where f.held),
    pg_catalog.bool_or(f.event_type operator(pg_catalog.=) 'q')
  from (
    select e.entity_id, e.record_id, e.event_type, pg_catalog.row_number() over () as place,
      p_held and exists (select from rowferry.held_events h
        where h.entity_id operator(pg_catalog.=) e.entity_id and h.record_id operator(pg_catalog.=) e.record_id) as held
    from rowferry._free_events(p_entity_ids, p_gaps, p_held, p_skips, p_most) e
  ) f
  group by f.entity_id
$$;
comment on function rowferry._fresh_records(integer[], int8multirange, boolean, boolean, integer, integer, integer) is
  'The records of the oldest events that are free to go, by entity.';
revoke all on function rowferry._fresh_records(integer[], int8multirange, boolean, boolean, integer, integer, integer) from public;
