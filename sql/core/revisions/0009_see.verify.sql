-- What people look at can be looked at.
do $$
declare
  v_missing text;
begin
  select string_agg(w.name, ', ') into v_missing
  from (values
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'why_stuck' and p.proacl is not null), 'why_stuck(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'row_status' and p.proacl is not null), 'row_status(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'explain_event' and p.proacl is not null), 'explain_event(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'preview' and p.proacl is not null), 'preview(), closed to public'),
    (has_table_privilege('rowferry_viewer', to_regclass('rowferry.status'), 'select'), 'view status, for viewers')
  ) w (is_there, name)
  where w.is_there is not true;
  if v_missing is not null then
    raise exception using errcode = 'RF038', message = 'the revision did not make what it should', detail = v_missing,
      hint = 'Nothing of it is left. Its SQL files were changed, or something took away what they made: compare them with the release.';
  end if;
end
$$;
