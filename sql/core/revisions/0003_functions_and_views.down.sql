do $$
declare
  v_name text;
begin
  if coalesce(current_setting('rowferry.force', true), '') <> 'on' and exists (select from rowferry.entities) then
    raise exception using errcode = 'RF012', message = 'tables are still attached',
      detail = format('%s; events that are not delivered: %s.',
        (select string_agg(name, ', ' order by name) from rowferry.entities), (select count(*) from rowferry.events)),
      hint = 'Let the worker deliver what waits, then detach the tables: alembic -n site downgrade base, '
        || 'or select rowferry.detach(name) from rowferry.entities order by id desc; or give up what waits: alembic -x force=true downgrade ..';
  end if;
  if exists (select from rowferry.links l where l.slot is not null) then
    raise exception using errcode = 'RF012', message = 'this node still has an outbox',
      detail = format('It is %s.', (select l.peer from rowferry.links l where l.slot is not null)),
      hint = 'select rowferry.detach(name) from rowferry.entities e join rowferry.links l using (peer) where l.slot is not null order by e.id desc; '
        'then: select rowferry.remove_outbox();';
  end if;
  loop
    -- What follows another entity goes first.
    v_name := (select e.name from rowferry.entities e where not rowferry._is_followed(e) order by e.id desc limit 1);
    exit when v_name is null;
    perform rowferry.detach(v_name, p_force => true);
  end loop;
end
$$;

-- Only the functions that the release made are dropped; _index_key(), _long_key() and _stir() stay, because indexes and triggers
-- of the tables use them.
drop trigger detached_with_events on rowferry.detached;
drop view rowferry._calls, rowferry.metrics, rowferry.status, rowferry.sync_events, rowferry._queue, rowferry._foreign_keys, rowferry.backfill_progress,
  rowferry.compare_report, rowferry.differences, rowferry.compare_runs;
do $$
declare
  v_functions text;
begin
  select string_agg(p.oid::regprocedure::text, ', ') into v_functions
  from rowferry.released r
  join pg_proc p on p.oid = to_regprocedure(r.function)
  where p.proowner = 'rowferry_owner'::regrole and r.function <> all ('{rowferry._index_key(text),rowferry._long_key(text),rowferry._stir()}');
  if v_functions is not null then
    execute 'drop function ' || v_functions;
  end if;
end
$$;
drop type rowferry._answer, rowferry._piece, rowferry._need, rowferry._not_taken, rowferry._section, rowferry._rare, rowferry._cause, rowferry._finding;
