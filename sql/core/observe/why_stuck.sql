-- Why nothing moves, or not all of it. It knows of the other node only what that node last told: call it on both. The causes are looked for in this order, by
-- the files in brackets; 1, 5 and 7 are here:
-- 1. An ACCESS EXCLUSIVE lock on one of rowferry's own tables (weaker ones are under 3). It is reported alone, because all other causes are in these tables and
--    reading them would wait for the lock.
-- 2. The link (_stuck_link.sql). In any case: it is stopped or paused; a table, a filter or a trigger was altered, here or on the peer, so that changes are not
--    captured (capture/_uncaptured.sql); a role without rights holds the link's lock or the worker's (info). Only if the link is neither stopped nor paused:
--    the worker's last error; no worker is at work; commits wait for a synchronous standby; the worker's login switches to a role without rights; the token has
--    reached its highest number; a transaction holds the link's lock and does not end.
-- 3. Tables and entities (_stuck_tables.sql): a lock on a table of the users; an entity that is paused, held as a whole, or waits for a person, who has to
--    approve() deletes.
-- 4. Records (_stuck_records.sql): rows that the peer refuses or that cannot leave this node; rows that refer to each other in a circle; parents that the peer
--    deleted or lacks; rows that are locked on the peer, or that this node is to merge once the peer's row has come. A row that waits for its parent has no
--    line of its own, the parent has.
-- 5. A comparison that the peer does not answer, or that failed before it had made the rows equal.
-- 6. A transaction that has changed tables in sync, or rowferry.links, and has not committed (_stuck_transactions.sql).
-- 7. If work waits, nothing has moved and none of 2 to 5 applies, other than as info: a line that says so. It may stand beside a line of point 6, because a
--    transaction explains only why its own changes are not sent.
-- 8. Dead rows of rowferry.events that an old transaction keeps, which make each exchange slower (_kept_by.sql).
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
  v_due_since timestamptz;  -- since when work has waited that is neither held nor skipped; null: no such work waits
  v_quiet boolean;
begin
  -- This function reads these tables below and would then wait for such a lock, so it looks for the lock first.
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
      union all
      select 'warning', format('rows may differ from those of %s, because the comparison that was to make them equal failed: %s', v_link.peer, f.error),
        f.since, format('run %s of entity %s', f.run_id, f.entity), format('select * from rowferry.first_contact(%L);  -- once that is mended', f.entity)
      from rowferry._failed_choices(v_link.peer) f
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
  'Why a link does not move, or not all of it: a row for each cause, with what to type next. error: the whole link stands still, or changes of a table are '
  'lost; warning: something does not move, or it slows the link down; info: this may be a cause, but rowferry_owner cannot see enough to tell. A link that is '
  'well has no rows. After grant pg_read_all_stats to rowferry_owner it can also say since when a session holds a lock, and which statement it runs.';
