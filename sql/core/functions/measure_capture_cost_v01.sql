-- Measures what capture adds to a statement on an entity's table: on a twin of the table, with copies of its rows, all of it rolled back. The table itself is
-- only read, and no trigger of a user's fires. Runs with its caller's rights, as attach() does.
create or replace function rowferry.measure_capture_cost(
  p_entity text,
  p_rows integer default 200
)
returns table (
  entity text,
  statement text,
  rows integer,
  without_us numeric,
  with_us numeric,
  added_us numeric
)
language plpgsql
set search_path = pg_catalog, pg_temp
set row_security = off
set lock_timeout = '5s'
as $$
#variable_conflict use_column
declare
  c_rounds constant integer := 5;
  v_entity rowferry.entities;
  v_statement text;
  v_inserts text;
  v_updates text;
  v_count integer;
  v_captured boolean;
  v_one boolean;
  v_began timestamptz;
  v_statements text[] := '{}';
  v_rows integer[] := '{}';
  v_with boolean[] := '{}';
  v_times numeric[] := '{}';
begin
  v_entity := rowferry._find_entity(p_entity);
  select string_agg(quote_ident(a.attname), ', ' order by a.attnum),
    string_agg(format('%1$I = s.%1$I', a.attname), ', ' order by a.attnum) filter (where a.attname <> all (array(
      select v_entity.local_columns[array_position(v_entity.columns, k)] from unnest(v_entity.key_columns) k)))
  into v_inserts, v_updates
  from pg_attribute a
  where a.attrelid = v_entity.relation and a.attnum > 0 and not a.attisdropped and a.attgenerated = '';
  begin
    execute format('create table rowferry.capture_sample as select row_number() over ()::integer as rowferry_n, %s from %s limit %s', v_inserts,
      v_entity.relation, greatest(1, p_rows));
    get diagnostics v_count = row_count;
    if v_count = 0 then
      raise exception using errcode = 'RF014', message = 'there is nothing to measure with', detail = format('%s is empty.', v_entity.relation),
        hint = 'Capture is measured with copies of the table''s rows: insert some first.';
    end if;
    execute 'alter table rowferry.capture_sample add primary key (rowferry_n)';
    execute format('create table rowferry.capture_twin (like %s including generated including storage, rowferry_n integer)%s', v_entity.relation,
      ' partition by ' || pg_get_partkeydef(v_entity.relation));
    if pg_get_partkeydef(v_entity.relation) is not null then
      execute 'create table rowferry.capture_twin_rows partition of rowferry.capture_twin '
        || case when pg_get_partkeydef(v_entity.relation) like 'HASH%' then 'for values with (modulus 1, remainder 0)' else 'default' end;
    end if;
    execute 'create index on rowferry.capture_twin (rowferry_n)';
    v_entity.relation := 'rowferry.capture_twin';
    foreach v_captured in array array[false, true] loop
      if v_captured then
        for v_statement in select * from rowferry._triggers_sql(v_entity) loop
          execute v_statement;
        end loop;
      end if;
      foreach v_one in array array[true, false] loop
        for v_round in 0 .. case when v_one then greatest(1, 100 / v_count) else c_rounds end loop
          foreach v_statement in array array['insert', 'update', 'delete'] loop
            continue when v_statement = 'update' and v_updates is null;
            for v_number in 1 .. case when v_one then v_count else 1 end loop
              v_began := clock_timestamp();
              -- An update takes the values of another row, since one that changes nothing writes no event.
              execute case v_statement
                when 'insert' then format('insert into rowferry.capture_twin (rowferry_n, %1$s) select rowferry_n, %1$s from rowferry.capture_sample where $3 or rowferry_n = $1',
                  v_inserts)
                when 'update' then format('update rowferry.capture_twin t set %s from rowferry.capture_sample s
                  where s.rowferry_n = (t.rowferry_n + $2) %% %s + 1 and ($3 or t.rowferry_n = $1)', v_updates, v_count)
                else 'delete from rowferry.capture_twin where $3 or rowferry_n = $1'
              end
              using v_number, v_round % greatest(1, v_count - 1), not v_one;
              continue when v_round = 0;  -- it makes the plans
              v_times := v_times || (extract(epoch from clock_timestamp() - v_began) * 1000000)::numeric;
              v_statements := v_statements || v_statement;
              v_rows := v_rows || case when v_one then 1 else v_count end;
              v_with := v_with || v_captured;
            end loop;
          end loop;
        end loop;
      end loop;
    end loop;
    raise exception using errcode = 'RF101', message = 'measured';
  exception
    when sqlstate 'RF101' then
      null;
  end;
  return query
  insert into rowferry.capture_cost as c (entity, statement, rows, without_us, with_us, measured_at)
  select v_entity.name, m.statement, m.rows,
    round((percentile_cont(0.5) within group (order by m.us) filter (where not m.captured))::numeric, 1),
    round((percentile_cont(0.5) within group (order by m.us) filter (where m.captured))::numeric, 1), rowferry._now()
  from unnest(v_statements, v_rows, v_with, v_times) m (statement, rows, captured, us)
  group by m.statement, m.rows
  on conflict (entity, statement, rows) do update
  set without_us = excluded.without_us, with_us = excluded.with_us, measured_at = excluded.measured_at
  returning c.entity, c.statement, c.rows, c.without_us, c.with_us, c.added_us;
end
$$;
comment on function rowferry.measure_capture_cost(text, integer) is
  'Measures what capture adds to a statement on this entity''s table, on a twin of it that is rolled back; kept in capture_cost.';
revoke all on function rowferry.measure_capture_cost(text, integer) from public;
