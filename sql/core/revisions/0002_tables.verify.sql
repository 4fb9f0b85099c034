-- The tables are there, all of them rowferry_owner's.
select to_regclass('rowferry.' || t.name) is not null and exists (
    select from pg_class c where c.oid = to_regclass('rowferry.' || t.name) and c.relowner = 'rowferry_owner'::regrole), 'table ' || t.name
from unnest(array['applying', 'backfills', 'batches', 'breakers', 'built_batches', 'compared_records', 'comparisons', 'conflicts', 'detached',
  'entities', 'events', 'held_events', 'links', 'missing_parents', 'moves', 'peer_facts', 'released', 'released_objects', 'skips',
  'staggered_sequences', 'taken_batches', 'traffic', 'waiting_runs']) t (name);
