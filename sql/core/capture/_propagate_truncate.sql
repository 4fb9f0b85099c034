-- Before TRUNCATE: an event for each row of the table, or of the partition whose trigger called, and the entity waits for approve(), unless its breaker is off.
create or replace function rowferry._propagate_truncate(
  p_entity rowferry.entities,
  p_relation regclass
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set array_nulls = on
as $$
declare
  v_count bigint;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    -- It would empty the table of rows that this transaction does not see.
    raise exception using errcode = 'RF005', message = 'truncate of a table kept in sync needs the isolation level read committed',
      detail = format('The transaction is %s.', current_setting('transaction_isolation')), hint = 'begin isolation level read committed;';
  end if;
  execute format('insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id) '
    'select rowferry._now(), $1, coalesce((select a.hops from rowferry.applying a where a.transaction_id = pg_current_xact_id() and a.entity_id = 0), 0), ''d'', k '
    'from rowferry.%I($2) k', rowferry._generated_name('emptied_', p_entity.name))
  using p_entity.id, p_relation;
  get diagnostics v_count = row_count;
  perform rowferry._left_nothing();
  update rowferry.entities e
  set held_attempts = 1, held_until = 'infinity', held_sqlstate = 'RF026',
    held_error = format('%s truncated %s: its rows are to be deleted on %s', session_user, e.relation, e.peer),
    held_hint = format('Let them go: select * from rowferry.approve(%L); or get the rows back from there: select * from rowferry.skip_deletes(%1$L, reason);', e.name)
  where e.id = p_entity.id and v_count > 0 and e.breaker_share is not null;
end
$$;
comment on function rowferry._propagate_truncate(rowferry.entities, regclass) is 'Writes an event for each row that TRUNCATE is about to take.';
