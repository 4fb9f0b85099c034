-- People have their views and functions.
do $$
declare
  v_missing text;
begin
  select string_agg(w.name, ', ') into v_missing
  from (values
    (has_function_privilege('rowferry_worker', 'rowferry.process_batch(text, text, bytea, integer, jsonb, boolean)', 'execute'), 'process_batch(), for the worker'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'skip' and p.proacl is not null), 'skip(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'retry' and p.proacl is not null), 'retry(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'pause' and p.proacl is not null), 'pause(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'resume' and p.proacl is not null), 'resume(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'backfill' and p.proacl is not null), 'backfill(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'resync' and p.proacl is not null), 'resync(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'let_loser_win' and p.proacl is not null), 'let_loser_win(), closed to public'),
    (has_table_privilege('rowferry_viewer', to_regclass('rowferry.sync_events'), 'select'), 'view sync_events, for viewers')
  ) w (is_there, name)
  where w.is_there is not true;
  if v_missing is not null then
    raise exception using errcode = 'RF038', message = 'the revision did not make what it should', detail = v_missing,
      hint = 'Nothing of it is left. Its SQL files were changed, or something took away what they made: compare them with the release.';
  end if;
end
$$;
