-- People can replay, and approve deletes.
do $$
declare
  v_missing text;
begin
  select string_agg(w.name, ', ') into v_missing
  from (values
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'replay' and p.proacl is not null), 'replay(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'approve' and p.proacl is not null), 'approve(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'skip_deletes' and p.proacl is not null), 'skip_deletes(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'set_breaker' and p.proacl is not null), 'set_breaker(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'simulate_policy' and p.proacl is not null), 'simulate_policy(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'retry' and p.proacl is not null), 'retry(), closed to public'),
    (to_regclass('rowferry.breakers') is not null, 'table breakers'),
    (to_regclass('rowferry.waiting_runs') is not null, 'table waiting_runs')
  ) w (is_there, name)
  where w.is_there is not true;
  if v_missing is not null then
    raise exception using errcode = 'RF038', message = 'the revision did not make what it should', detail = v_missing,
      hint = 'Nothing of it is left. Its SQL files were changed, or something took away what they made: compare them with the release.';
  end if;
end
$$;
