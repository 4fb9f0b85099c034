-- Tables can be attached and detached, and the triggers' function is closed to public.
do $$
declare
  v_missing text;
begin
  select string_agg(w.name, ', ') into v_missing
  from (values
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'attach' and p.proacl is not null), 'attach(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'detach' and p.proacl is not null), 'detach(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'set_rules' and p.proacl is not null), 'set_rules(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = '_refuse_truncate' and p.proacl is not null), '_refuse_truncate(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = '_capture_sql' and p.proacl is not null), '_capture_sql(), closed to public')
  ) w (is_there, name)
  where w.is_there is not true;
  if v_missing is not null then
    raise exception using errcode = 'RF038', message = 'the revision did not make what it should', detail = v_missing,
      hint = 'Nothing of it is left. Its SQL files were changed, or something took away what they made: compare them with the release.';
  end if;
end
$$;
