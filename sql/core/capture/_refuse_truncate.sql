create or replace function rowferry._refuse_truncate()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set array_nulls = on
as $$
declare
  v_entity rowferry.entities;
  v_count bigint;
begin
  for v_entity in
    select e.*
    from rowferry.entities e
    where (e.relation = tg_relid or e.relation in (select a.relid from pg_partition_ancestors(tg_relid) a)) and e.direction <> 'receive'
    order by e.id
  loop
    if v_entity.truncate_rule <> 'propagate' then
      raise exception using errcode = 'RF005', message = 'a table kept in sync cannot be truncated',
        detail = format('%I.%I is attached to rowferry.', tg_table_schema, tg_table_name),
        hint = format('Use delete, or take the table out of sync first: select rowferry.detach(%L);', v_entity.name);
    elsif current_setting('transaction_isolation') <> 'read committed' then
      -- TRUNCATE also removes rows that the snapshot of this transaction does not show, and these would get no event.
      raise exception using errcode = 'RF005', message = 'truncate of a table kept in sync needs the isolation level read committed',
        detail = format('The transaction is %s.', current_setting('transaction_isolation')),
        hint = 'Begin the transaction with: begin isolation level read committed;';
    end if;
    perform pg_current_xact_id();  -- before an event's number is drawn: see _at_rest()
    execute format('insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id) '
      'select rowferry._now(), $1, '
      'coalesce((select a.hops from rowferry.applying a where a.transaction_id = pg_current_xact_id() and a.entity_id = 0), 0), ''d'', k '
      'from rowferry.%I($2) k', rowferry._generated_name('emptied_', v_entity.name))
    using v_entity.id, tg_relid::regclass;
    get diagnostics v_count = row_count;
    perform rowferry._left_nothing();
    update rowferry.entities e
    set held_attempts = 1, held_until = 'infinity', held_sqlstate = 'RF026',
      held_error = format('%s truncated %s: its rows are to be deleted on %s', session_user, e.relation, e.peer),
      held_hint = format('select * from rowferry.approve(%L);  -- lets them be deleted; to get the rows back instead: '
        'select * from rowferry.skip_deletes(%1$L, reason);', e.name)
    where e.id = v_entity.id and v_count > 0 and e.breaker_share is not null;
  end loop;
  return null;
end
$$;
comment on function rowferry._refuse_truncate() is
  'Trigger function for TRUNCATE, which fires no row trigger and would empty the table on this node only. It refuses, unless the table was attached with '
  'p_truncate => ''propagate''. Then it writes a delete event for each row of the table, or of the partition whose trigger called, and the entity waits for '
  'approve() unless its breaker is off. A partition that has left its attached table may be truncated.';
