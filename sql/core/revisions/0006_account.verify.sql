-- The exchanges are logged, and the log can be proved.
do $$
declare
  v_missing text;
begin
  select string_agg(w.name, ', ') into v_missing
  from (values
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'audit' and p.proacl is not null), 'audit(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'measure_capture_cost' and p.proacl is not null), 'measure_capture_cost(), closed to public'),
    (to_regclass('rowferry.batches') is not null, 'table batches'),
    (to_regclass('rowferry.traffic') is not null, 'table traffic'),
    (to_regclass('rowferry.left_events') is not null, 'table left_events'),
    (to_regclass('rowferry.audit_problems') is not null, 'table audit_problems'),
    (to_regclass('rowferry.capture_cost') is not null, 'table capture_cost')
  ) w (is_there, name)
  where w.is_there is not true;
  if v_missing is not null then
    raise exception using errcode = 'RF038', message = 'the revision did not make what it should', detail = v_missing,
      hint = 'Nothing of it is left. Its SQL files were changed, or something took away what they made: compare them with the release.';
  end if;
end
$$;
