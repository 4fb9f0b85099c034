-- The tables are there, all of them rowferry_owner's.
do $$
declare
  v_missing text;
begin
  select string_agg(w.name, ', ') into v_missing
  from (values
    ((select count(*) = 11 from pg_class where relnamespace = 'rowferry'::regnamespace and relkind = 'r' and relowner = 'rowferry_owner'::regrole
      and relname in ('links', 'entities', 'events', 'held_events', 'built_batches', 'taken_batches', 'applying', 'backfills', 'skips', 'conflicts', 'node')), 'the tables'),
    (to_regclass('rowferry.events_of_record') is not null, 'the index events_of_record'),
    (to_regprocedure('rowferry._now()') is not null, 'the clock _now()'),
    (to_regprocedure('rowferry.configure_node(text, text[])') is not null, 'configure_node()')
  ) w (is_there, name)
  where w.is_there is not true;
  if v_missing is not null then
    raise exception using errcode = 'RF038', message = 'the revision did not make what it should', detail = v_missing,
      hint = 'Nothing of it is left. Its SQL files were changed, or something took away what they made: compare them with the release.';
  end if;
end
$$;
