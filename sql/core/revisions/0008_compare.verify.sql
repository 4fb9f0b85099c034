-- Both nodes can be compared and repaired.
do $$
declare
  v_missing text;
begin
  select string_agg(w.name, ', ') into v_missing
  from (values
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'compare' and p.proacl is not null), 'compare(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'repair' and p.proacl is not null), 'repair(), closed to public'),
    (exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = 'first_contact' and p.proacl is not null), 'first_contact(), closed to public'),
    (has_table_privilege('rowferry_viewer', to_regclass('rowferry.compare_runs'), 'select'), 'view compare_runs, for viewers'),
    (has_table_privilege('rowferry_viewer', to_regclass('rowferry.compare_report'), 'select'), 'view compare_report, for viewers'),
    (has_table_privilege('rowferry_viewer', to_regclass('rowferry.differences'), 'select'), 'view differences, for viewers'),
    (has_table_privilege('rowferry_viewer', to_regclass('rowferry.backfill_progress'), 'select'), 'view backfill_progress, for viewers'),
    (to_regclass('rowferry.comparisons') is not null, 'table comparisons'),
    (to_regclass('rowferry.compared_records') is not null, 'table compared_records')
  ) w (is_there, name)
  where w.is_there is not true;
  if v_missing is not null then
    raise exception using errcode = 'RF038', message = 'the revision did not make what it should', detail = v_missing,
      hint = 'Nothing of it is left. Its SQL files were changed, or something took away what they made: compare them with the release.';
  end if;
end
$$;
