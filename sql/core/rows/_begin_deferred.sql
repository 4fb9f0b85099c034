create or replace function rowferry._begin_deferred()
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_before bigint;
  v_now bigint;
begin
  if current_setting('server_version_num')::integer >= 180000 or pg_current_xact_id_if_assigned() is null then
    return;
  end if;
  -- Each command that writes takes a number. If the last update of our row and the next one have consecutive numbers, no other command has written.
  select a.cmin::text::bigint into v_before from rowferry.applying a where a.transaction_id = pg_current_xact_id() and a.entity_id = -1;
  update rowferry.applying a set hops = 0 where a.transaction_id = pg_current_xact_id() and a.entity_id = -1 returning a.cmin::text::bigint into v_now;
  if v_now = v_before + 1 then
    return;
  end if;
  raise exception using errcode = 'RF041', message = 'this transaction has written something already',
    detail = 'Before PostgreSQL 18 what that deferred to its end would be done with the rights of another role.',
    hint = 'Make this call in a transaction of its own: commit first, and then call it again.';
end
$$;
comment on function rowferry._begin_deferred() is
  'Before PostgreSQL 18: refuses a transaction that has written already, at the start of a call that fires deferred triggers with the rights of a table''s '
  'owner, because it would fire with these rights what the transaction has deferred before. A transaction in which only such a call has written is taken.';
