-- The tables are there, all of them rowferry_owner's.
select w.is_there, w.name
from (values
  ((select count(*) = 13 from pg_class where relnamespace = 'rowferry'::regnamespace and relkind = 'r' and relowner = 'rowferry_owner'::regrole
    and relname in ('links', 'entities', 'events', 'moves', 'held_events', 'missing_parents', 'built_batches', 'taken_batches', 'applying', 'backfills', 'skips', 'conflicts', 'node')), 'the tables'),
  (to_regclass('rowferry.events_of_record') is not null, 'the index events_of_record'),
  (to_regprocedure('rowferry._now()') is not null, 'the clock _now()'),
  (to_regprocedure('rowferry.configure_node(text, text[])') is not null, 'configure_node()')
) w (is_there, name);
