create or replace function rowferry._finish(
  p_sections rowferry._section[]
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  c_rounds constant integer := 20;
  v_entity text := (p_sections[array_upper(p_sections, 1)]).entity;
  v_before bigint;
  v_after bigint;
  v_temporary text;
begin
  if v_entity is null then
    return;
  end if;
  insert into rowferry.applying (transaction_id, entity_id, hops, keys) values (pg_current_xact_id(), -1, 0, '{}') on conflict do nothing;
  -- Each command that writes or locks takes a number, and a row of ours that is updated before and after a round shows how many were taken. A round in which
  -- none was taken has queued nothing, and has fired all that was queued.
  for v_round in 1 .. c_rounds loop
    update rowferry.applying a set hops = 0 where a.transaction_id = pg_current_xact_id() and a.entity_id = -1 returning a.cmin::text::bigint into v_before;
    execute format('select rowferry.%I()', rowferry._generated_name('finish_', v_entity));
    perform rowferry._left_nothing();
    update rowferry.applying a set hops = 0 where a.transaction_id = pg_current_xact_id() and a.entity_id = -1 returning a.cmin::text::bigint into v_after;
    if v_after = v_before + 1 then
      if current_setting('server_version_num')::integer < 180000 and pg_my_temp_schema() <> 0 then
        -- A temporary table can be written even in a read-only transaction.
        v_temporary := (
          select min(c.relname::text)
          from pg_class c
          join pg_trigger t on t.tgrelid = c.oid
          where c.relnamespace = pg_my_temp_schema() and t.tgdeferrable);
      end if;
      if v_temporary is not null then
        raise exception using errcode = 'RF042', message = 'a trigger has made a temporary table with deferrable constraints',
          detail = format('%s.', v_temporary),
          hint = 'Before PostgreSQL 18 what these defer would fire with the rights of others: let the trigger use a temporary table without them.';
      end if;
      return;
    end if;
  end loop;
  raise exception using errcode = 'RF040', message = 'deferred triggers of the table queue each other without end',
    detail = format('%s: something was still written in round %s.', v_entity, c_rounds),
    hint = 'On the node that refuses the row, take "set constraints .. deferred" out of the functions of these triggers; then here: select rowferry.retry(id);';
end
$$;
comment on function rowferry._finish(rowferry._section[]) is
  'Checks and fires all that is deferred, with the rights of the tables'' owner. Before PostgreSQL 18 a deferred trigger runs with the rights of whoever makes '
  'it fire, and a trigger that defers again what it queues would have it fire at commit, with the rights of the worker; on any version an error at commit '
  'would blame no row. So this is repeated until a round has written and locked nothing.';
