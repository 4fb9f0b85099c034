-- The installation knows what it released, and no function differs from that.
do $$
declare
  v_missing text;
begin
  select string_agg(w.name, ', ') into v_missing
  from (values
    (to_regprocedure('rowferry.check(text)') is not null, 'check()'),
    (to_regprocedure('rowferry.selftest()') is not null, 'selftest()'),
    (to_regprocedure('rowferry.stagger_sequence(regclass, integer, integer)') is not null, 'stagger_sequence()'),
    (exists (select from rowferry.released), 'the list of what was released'),
    (not exists (select from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proacl is null), 'all functions closed to public')
  ) w (is_there, name)
  where w.is_there is not true;
  if v_missing is not null then
    raise exception using errcode = 'RF038', message = 'the revision did not make what it should', detail = v_missing,
      hint = 'Nothing of it is left. Its SQL files were changed, or something took away what they made: compare them with the release.';
  end if;
end
$$;
