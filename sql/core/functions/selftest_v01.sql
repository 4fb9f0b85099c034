-- Tries the installed functions where they are: two nodes in schemas of their own, an exchange between them, all in one transaction that leaves nothing but gaps in sequences. Prints TAP. The real
-- links and the users' tables are not touched, and nobody waits but an attach() that runs meanwhile. Runs with the caller's rights: a member of rowferry_owner who may create a schema.
create or replace function rowferry.selftest()
returns setof text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_scenario record;
  v_step text;
  v_found text;
  v_trouble text[];
  v_lines text[] := '{}';
  v_number integer := 0;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception using errcode = 'RF001', message = 'the self-test needs the isolation level read committed',
      detail = format('The transaction is %s.', current_setting('transaction_isolation')), hint = 'begin isolation level read committed;';
  elsif not pg_has_role(current_user, 'rowferry_owner', 'usage') or not has_database_privilege(current_user, current_database(), 'create') then
    raise exception using errcode = '42501', message = 'the self-test needs the rights of rowferry_owner, and to create schemas', detail = format('The current role is %I.', current_user),
      hint = format('As a superuser: grant rowferry_owner to %I; grant create on database %I to %1$I;', current_user, current_database());
  end if;
  begin
    perform rowferry._selftest_prepare();
    for v_scenario in select * from rowferry._selftest_scenarios() loop
      v_number := v_number + 1;
      v_trouble := '{}';
      begin
        foreach v_step in array v_scenario.steps loop
          execute v_step;
        end loop;
        v_step := v_scenario.question;
        execute v_step into v_found;
        if v_found is distinct from v_scenario.answer then
          v_trouble := array['found:    ' || coalesce(v_found, 'nothing'), 'expected: ' || v_scenario.answer];
        end if;
        raise exception using errcode = 'RF101', message = 'end of the scenario';
      exception
        when sqlstate 'RF101' then
          null;
        when others then
          v_trouble := array['in:       ' || v_step, format('error:    %s: %s', sqlstate, sqlerrm)];
      end;
      v_lines := v_lines || format('%s %s - %s', case v_trouble when '{}' then 'ok' else 'not ok' end, v_number, v_scenario.name)
        || array(select '#   ' || regexp_replace(t, '\s+', ' ', 'g') from unnest(v_trouble) t);
    end loop;
    raise exception using errcode = 'RF101', message = 'end of the self-test';
  exception
    when sqlstate 'RF101' then
      null;
    when others then
      v_lines := array[format('Bail out! %s: %s', sqlstate, sqlerrm)];
  end;
  return query select '1..' || count(*) from rowferry._selftest_scenarios();
  return query select l from unnest(v_lines) l;
end
$$;
comment on function rowferry.selftest() is 'Tries the installed functions in schemas of its own, prints TAP, and leaves nothing: select rowferry.selftest();';
revoke all on function rowferry.selftest() from public;
