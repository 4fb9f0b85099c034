-- A plain SET overrides the settings of all functions around it (array_nulls: rows of other tables would be read with words for nulls), and a cursor WITH HOLD
-- runs its query at commit: the error takes both back. No rollback removes a prepared statement, whose name others may use, so it is deallocated here. The
-- function looks at the settings of its caller and so has none of its own; hence each name in it is qualified, also those of types: a session looks them up in
-- its first call.
create or replace function rowferry._left_nothing()
returns void
language plpgsql
as $$
declare
  v_left pg_catalog.text;
  v_prepared pg_catalog.text[];
  v_statement pg_catalog.text;
begin
  select case
      -- The second spelling is that of a function made while quote_all_identifiers was on.
      when pg_catalog.current_setting('search_path') operator(pg_catalog.<>) all (array['pg_catalog, pg_temp', '"pg_catalog", "pg_temp"']) then 'SET search_path'
      when pg_catalog.current_setting('array_nulls') operator(pg_catalog.<>) 'on' then 'SET array_nulls'
      when exists (select from pg_catalog.pg_cursor() c where c.is_holdable and c.creation_time operator(pg_catalog.>=) pg_catalog.statement_timestamp())
        then 'DECLARE .. WITH HOLD' end,
    array(select p.name from pg_catalog.pg_prepared_statement() p
      where p.from_sql and p.prepare_time operator(pg_catalog.>=) pg_catalog.statement_timestamp())
  into v_left, v_prepared;
  foreach v_statement in array v_prepared loop
    execute pg_catalog.format('deallocate %I', v_statement);
  end loop;
  if v_left is not null then
    raise exception using errcode = 'RF043', message = 'a trigger or function of the table''s leaves something behind in the session',
      detail = pg_catalog.concat(v_left, '.'),
      hint = 'Code that runs with other rights would meet it. Let the function use SET LOCAL, or a SET clause of its own, and close what it opens.';
  end if;
end
$$;
comment on function rowferry._left_nothing() is
  'Raises an error if code of a table''s owner has left something behind in the session. It is called after each function that runs such code, because what '
  'is left outlives the rights that the code had and would be met by rowferry_owner, by the worker''s login or by the caller.';
