-- Called after each function that runs code of a table's owner: what such code leaves in the session outlives the rights that it ran with, and would be met by rowferry_owner, by the
-- worker's login or by whoever called. A plain SET overrides the settings of all functions around it (array_nulls: rows of other tables would be read with words for nulls); a cursor WITH HOLD runs its query at commit; a prepared statement has a name that
-- others use. The error takes the first two back; no rollback does so with the third, so it is removed. No setting of its own, since it looks at its caller's; so every name in it is qualified.
create or replace function rowferry._left_nothing()
returns void
language plpgsql
as $$
declare
  v_left constant text := case
    -- As it is spelled where quote_all_identifiers was on when the function was made, too.
    when pg_catalog.current_setting('search_path') operator(pg_catalog.<>) all (array['pg_catalog, pg_temp', '"pg_catalog", "pg_temp"']) then 'SET search_path'
    when pg_catalog.current_setting('array_nulls') operator(pg_catalog.<>) 'on' then 'SET array_nulls'
    when exists (select from pg_catalog.pg_cursor() c where c.is_holdable and c.creation_time operator(pg_catalog.>=) pg_catalog.statement_timestamp()) then 'DECLARE .. WITH HOLD' end;
  v_statement text;
begin
  for v_statement in
    select p.name from pg_catalog.pg_prepared_statement() p where p.from_sql and p.prepare_time operator(pg_catalog.>=) pg_catalog.statement_timestamp()
  loop
    execute pg_catalog.format('deallocate %I', v_statement);
  end loop;
  if v_left is not null then
    raise exception using errcode = 'RF043', message = 'a trigger or function of the table''s leaves something behind in the session',
      detail = pg_catalog.concat(v_left, '.'),
      hint = 'Others would meet it who run with other rights. Let it use SET LOCAL, or a SET clause of the function, and close what it opens.';
  end if;
end
$$;
comment on function rowferry._left_nothing() is 'Raises an error if code of a table''s owner has left something behind in the session.';
