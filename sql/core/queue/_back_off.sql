create or replace function rowferry._back_off(
  p_attempts integer,
  p_most integer default 300
)
returns interval
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$ select least(power(2, least(p_attempts, 10)), p_most) * interval '1 s' $$;
comment on function rowferry._back_off(integer, integer) is
  'How long an event or entity that failed waits for its next try, after this number of attempts: 1, 2, 4 seconds and so on, p_most at most.';
