-- The installation knows what it released, and no function differs from that.
select w.is_there, w.name
from (values
  (to_regprocedure('rowferry.check(text)') is not null, 'check()'),
  (to_regprocedure('rowferry.stagger_sequence(regclass, integer, integer)') is not null, 'stagger_sequence()'),
  (exists (select from rowferry.released), 'the list of what was released'),
  (not exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proacl is null), 'all functions closed to public')
) w (is_there, name);
