create or replace function rowferry.why_stuck(
  p_peer text default null
)
returns table (
  severity text,
  cause text,
  since timestamptz,
  object text,
  type_next text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set jit = off
set lock_timeout = '2s'
as $$
declare
  v_link rowferry.links;
  v_counts record;
  v_due_since timestamptz;  -- since when work waits that is neither held nor skipped; null: none does
  v_quiet boolean;
begin
  -- These tables are read below, which would wait for the lock.
  return query
  select 'error', format('table %s is locked (%s): nothing moves before this lock is released', k.o_relation::regclass, k.o_mode),
    k.o_began_at, k.o_object, k.o_next
  from rowferry._locks(array(select c.oid from pg_class c where c.relnamespace = 'rowferry'::regnamespace and c.relkind = 'r'), array['AccessExclusiveLock']) k;
  if found then
    return;
  end if;
  if p_peer is not null then
    perform rowferry._find_link(p_peer);
  end if;
  for v_link in select l.* from rowferry.links l where p_peer is null or l.peer = p_peer order by l.peer loop
    select * into v_counts from rowferry._counts(v_link.peer, 10000);
    v_due_since := coalesce((select e.changed_at from rowferry.events e where e.id = v_counts.next_id),
      (select min(b.requested_at) from rowferry.backfills b join rowferry.entities e on e.id = b.entity_id
        where e.peer = v_link.peer and b.finished_at is null and e.held_until is distinct from 'infinity'),
      (select min(s.requested_at) from rowferry.skips s where s.peer = v_link.peer and s.done_at is null));
    v_quiet := coalesce(rowferry._now() - greatest(v_due_since, v_link.last_exchange_at)
      > interval '10 s' + 1.4 * current_setting('deadlock_timeout')::interval * v_counts.patience and v_due_since is not null, false);
    return query
    with causes as materialized (
      select l.* from rowferry._stuck_link(v_link, v_due_since, v_quiet, v_counts.backfilling > 0, v_counts.patience) l
      union all
      select t.* from rowferry._stuck_tables(v_link.peer) t
      union all
      select r.* from rowferry._stuck_records(v_link.peer) r
      union all
      select 'warning', format('%s does not answer a comparison, asked %s times', v_link.peer, c.unanswered), c.sent_at,
        format('run %s of entity %s', c.id, c.entity), format('select * from rowferry.why_stuck();  -- on %s', v_link.peer)
      from rowferry.comparisons c
      where c.peer = v_link.peer and c.state in ('walking', 'resolving') and c.unanswered > 3
    )
    select c.* from causes c
    union all
    select u.* from rowferry._stuck_transactions(v_link.peer) u
    union all
    select 'error', 'work waits, nothing has moved, and none of the known causes applies', greatest(v_due_since, v_link.last_exchange_at),
      'worker: ' || rowferry._session(rowferry._courier_at_work((select n.name from rowferry.node n), v_link.peer)),
      format('select * from rowferry.why_stuck();  -- on %s; then read the log of rowferry run on %s', v_link.peer, v_link.courier ->> 'host')
    where v_quiet and not exists (select from causes c where c.severity <> 'info');
  end loop;
  return query
  select 'warning', format('PostgreSQL keeps %s dead rows of rowferry.events, and each exchange may have to read past them', d.dead),
    k.o_since, k.o_object, k.o_next
  from (values (pg_stat_get_dead_tuples('rowferry.events'::regclass))) d (dead)
  cross join rowferry._kept_by() k
  where d.dead > 10000 and k.o_since < rowferry._now() - interval '1 min'
  limit 5;
end
$$;
comment on function rowferry.why_stuck(text) is
  'Why a link does not move, or not all of it: one row for each cause, with what to type next. error: nothing moves; warning: something does not move, '
  'or it slows the link down; info: it may be a cause, which rowferry_owner cannot see. A link that is well has no rows.'
  ' grant pg_read_all_stats to rowferry_owner; lets it say since when sessions hold what they hold, and their statements.';
