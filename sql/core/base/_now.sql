-- Fully qualified and without SET, so that it is inlined.
create or replace function rowferry._now()
returns timestamptz
language sql
volatile
parallel safe
as $$ select pg_catalog.clock_timestamp() $$;
comment on function rowferry._now() is 'The one clock of rowferry: every time that is noted is read here, so that a test can replace it.';
