-- process_batch() is there, closed to public.
do $$
declare
  v_missing text;
begin
  select string_agg(w.name, ', ') into v_missing
  from (values
    (rowferry.version() >= 1, 'version()'),
    (not exists (select from pg_proc p cross join lateral aclexplode(p.proacl) a where p.oid = 'rowferry.process_batch(text, text, bytea, integer, jsonb, boolean)'::regprocedure
      and a.grantee = 0), 'process_batch() closed to public')
  ) w (is_there, name)
  where w.is_there is not true;
  if v_missing is not null then
    raise exception using errcode = 'RF038', message = 'the revision did not make what it should', detail = v_missing,
      hint = 'Nothing of it is left. Its SQL files were changed, or something took away what they made: compare them with the release.';
  end if;
end
$$;
