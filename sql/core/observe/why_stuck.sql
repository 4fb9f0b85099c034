-- Why a link does not move, or not all of it, one row per cause, with what to type next. error: nothing moves; warning: something does not, or it costs; info: what
-- may be a cause and cannot be told by what rowferry_owner may see. A link that is well has no rows; where work waits and no cause is found, that is the row.
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
#variable_conflict use_column
declare
  c_soon constant interval := '10 s';
  v_now timestamptz := rowferry._now();
  v_link rowferry.links;
  v_counts record;
  v_own oid[] := array(select c.oid from pg_class c where c.relnamespace = 'rowferry'::regnamespace and c.relkind = 'r');
  v_node text;
  v_courier integer;
  v_holder record;
  v_due boolean;  -- work waits that is neither held nor skipped
  v_due_since timestamptz;
  v_quiet boolean;
  v_tables oid[];
  v_since timestamptz;
  v_state text;
  v_named boolean;  -- whether a cause has been
begin
  -- First what this function would wait for itself.
  return query
  select 'error', format('table %s is locked (%s), and all else with it', k.o_relation::regclass, k.o_mode), k.o_began_at, k.o_object, k.o_next
  from rowferry._locks(v_own, array['AccessExclusiveLock']) k;
  if found then
    return;
  end if;
  v_node := (select n.name from rowferry.node n);
  if p_peer is not null then
    perform rowferry._find_link(p_peer);
  end if;
  for v_link in select l.* from rowferry.links l where p_peer is null or l.peer = p_peer order by l.peer loop
    v_named := false;
    v_courier := rowferry._courier_at_work(v_node, v_link.peer);
    select h.* into v_holder from rowferry._lock_holders(rowferry._link_key(v_link.peer)) h where not h.o_stranger limit 1;
    select * into v_counts from rowferry._counts(v_link.peer, 10000);
    v_due_since := coalesce((select e.changed_at from rowferry.events e where e.id = v_counts.next_id),
      (select min(b.requested_at) from rowferry.backfills b join rowferry.entities e on e.id = b.entity_id
        where e.peer = v_link.peer and b.finished_at is null and e.held_until is distinct from 'infinity'),
      (select min(s.requested_at) from rowferry.skips s where s.peer = v_link.peer and s.done_at is null));
    v_due := v_due_since is not null;
    v_quiet := v_due and v_now - greatest(v_due_since, v_link.last_exchange_at)
      > c_soon + 1.4 * current_setting('deadlock_timeout')::interval * v_counts.patience;

    -- The whole link.
    if v_link.stopped_at is not null then
      return query select 'error', split_part(v_link.stopped_reason, '. Next, ', 1), v_link.stopped_at, 'link to ' || v_link.peer,
        'select * from rowferry.resync();  -- on each node that is stopped, once you know which one is right'::text;
      v_named := true;
    end if;
    if v_link.paused_at is not null then
      return query select 'error', 'paused by ' || v_link.paused_by, v_link.paused_at, 'link to ' || v_link.peer, format('select * from rowferry.resume(%L);', v_link.peer);
      v_named := true;
    end if;
    return query
    select 'error', u.problem, null::timestamptz, u.object, u.fix || case when u.object = 'trigger' then ';' else '' end
    from rowferry._uncaptured(v_link.peer) u;
    v_named := v_named or found;
    if v_link.stopped_at is null and v_link.paused_at is null then
      if v_link.courier_error is not null then
        return query select 'error',
          format(case when v_link.courier_error ->> 'sqlstate' ~ '^(08|57P)' then '%s is out of reach: %s' else '%s answered: %s' end,
            v_link.courier_error ->> 'node', v_link.courier_error ->> 'message'),
          v_link.opened_at, format('courier %s, pid %s', v_link.courier ->> 'host', v_link.courier ->> 'pid'),
          -- The worker's login may call nothing else, and what is out of reach answers nobody.
          format(case when v_link.courier_error ->> 'sqlstate' ~ '^(08|57P)'
              then 'pg_isready -d "$ROWFERRY_NODE_%s"  # where the courier runs; if no server answers there: is it running, what does its log say; else: select * from rowferry.why_stuck();  -- on %s'
              else 'select * from rowferry.why_stuck();  -- on %2$s' end, upper(v_link.courier_error ->> 'node'), v_link.courier_error ->> 'node');
        v_named := true;
      elsif (v_due or v_counts.backfilling > 0) and v_courier is null then
        return query select 'error', 'no courier is at work' || coalesce('; the last one was pid ' || (v_link.courier ->> 'pid') || ' on ' || (v_link.courier ->> 'host'), ''),
          v_due_since, 'link to ' || v_link.peer, 'rowferry run  # if one runs, it may wait for a lock of the other node: ask there too'::text;
        v_named := true;
      end if;
      return query select 'error', s.o_cause, s.o_since, s.o_object,
        'select application_name, state, sync_state from pg_stat_replication;  -- bring the standby back; or go on without it: alter system set synchronous_standby_names = ''''; select pg_reload_conf();'
      from rowferry._standby_waited_for() s;
      v_named := v_named or found;
      if v_courier is null then
        return query select 'error', w.o_cause, null::timestamptz, w.o_object, w.o_next from rowferry._workers_lost() w;
        v_named := v_named or found;
      end if;
      if v_link.token_number >= 999999999999999 then
        return query select 'error', 'the number of its token has reached its end, no courier can open any more', v_link.opened_at, 'link to ' || v_link.peer,
          'select * from rowferry.resync();  -- and look who else has the role rowferry_worker: no courier comes so far'::text;
        v_named := true;
      end if;
      if v_holder.o_object is not null then
        select coalesce(a.xact_start, rowferry._seen_at(coalesce(a.backend_xid, a.backend_xmin))), a.state into v_since, v_state from pg_stat_activity a where a.pid = v_holder.o_pid;
        if v_since < v_now - c_soon * v_counts.patience or v_since is null and v_quiet then
          -- A call of the courier's ends by itself, however it ends. In a transaction of its own it would be idle.
          if v_holder.o_pid = v_courier and coalesce(v_state, 'active') = 'active' then
            return query select case when v_since is null then 'info' else 'warning' end, 'a call of the courier is at work'
                || coalesce('; it waits for pid ' || nullif(array_to_string(pg_blocking_pids(v_holder.o_pid), ', pid '), ''), ''),
              v_since, rowferry._session(v_holder.o_pid), format('select * from rowferry.why_stuck();  -- again; if it is always at work: the log of rowferry run on %s', v_link.courier ->> 'host');
            v_named := v_named or v_since is not null;
          else
            return query select 'error', 'the lock of the link is held by a transaction that does not end'
                || coalesce('; it waits for pid ' || nullif(array_to_string(pg_blocking_pids(v_holder.o_pid), ', pid '), ''), ''),
              v_since, coalesce(rowferry._session(v_holder.o_pid), v_holder.o_object), v_holder.o_next;
            v_named := true;
          end if;
        end if;
      end if;
    end if;

    -- It keeps nothing still.
    return query
    select 'info', case k.place when 1 then 'a role that may do nothing here holds the lock of the link, which is gone without'
        else 'a role that may do nothing here holds the lock of the courier, which is gone without' end, null::timestamptz, h.o_object, h.o_next
    from unnest(array[rowferry._link_key(v_link.peer), rowferry._courier_lock(v_node, v_link.peer)]) with ordinality k (key, place)
    cross join lateral rowferry._lock_holders(k.key) h
    where h.o_stranger;

    -- Tables that this node cannot read or write, and its own.
    v_tables := v_own || array(
      with recursive tables (id) as (
        select e.relation::oid from rowferry.entities e where e.peer = v_link.peer
        union all
        select i.inhrelid from pg_inherits i join tables t on t.id = i.inhparent
      )
      select t.id from tables t);
    return query
    select 'warning', format('table %s is locked (%s)', k.o_relation::regclass, k.o_mode), coalesce(k.o_began_at, rowferry._seen_at(k.o_xid)), k.o_object, k.o_next
    from rowferry._locks(v_tables, array['ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock']) k
    order by 3, k.o_relation
    limit 20;
    v_named := v_named or found;

    -- Some of it.
    return query
    select 'warning', 'paused by ' || e.paused_by || rowferry._others_wait(o.others, 2), e.paused_at, 'entity ' || e.name, format('select * from rowferry.resume(%L, %L);', e.peer, e.name)
    from rowferry.entities e
    cross join lateral (select sum(r.o_others) as others from rowferry._roots(e.peer) r where r.o_entity_id = e.id) o
    where e.peer = v_link.peer and e.paused_at is not null
    order by e.paused_at;
    v_named := v_named or found;
    return query
    select 'warning', case e.held_until when 'infinity' then format('waits for a person: %s (%s)', e.held_error, e.held_sqlstate)
        else format('held as a whole, tried %s: %s (%s)', case e.held_attempts when 1 then 'once' else e.held_attempts || ' times' end, e.held_error, e.held_sqlstate) end || rowferry._others_wait(o.others, 2),
      null::timestamptz, 'entity ' || e.name, e.held_hint
    from rowferry.entities e
    cross join lateral (select sum(r.o_others) as others from rowferry._roots(e.peer) r where r.o_entity_id = e.id) o
    where e.peer = v_link.peer and e.held_attempts > 0 and e.paused_at is null
      and not (e.held_here and coalesce((rowferry._table_apart(e)).o_unusable, false))  -- said above
    order by e.name;
    v_named := v_named or found;
    -- Of rows that wait for a parent it is the parent that is named.
    return query
    select 'warning', format('%s %s: %s (%s)', g.events, case when g.here then case g.events when 1 then 'event cannot leave this node' else 'events cannot leave this node' end
        else case g.events when 1 then 'event is' else 'events are' end || ' refused by ' || v_link.peer end, g.error, g.sqlstate) || rowferry._others_wait(g.others, g.records),
      g.since, format('entity %s, record %s', g.name, g.record_id),
      coalesce(g.advice, format('select * from rowferry.retry(%s);  -- once %s', case g.records when 1 then g.id::text else quote_literal(g.name) end,
        case when g.sqlstate in ('23505', '23P01') and not g.here then 'one of the two rows has another value' else 'the cause is mended' end))
    from (
      select e.name, c.sqlstate, c.here, sum(c.events) as events, count(*) as records, min(c.since) as since, min(c.id) as id,
        (array_agg(c.record_id order by c.id))[1] as record_id, (array_agg(c.error order by c.id))[1] as error,
        (array_agg(c.advice order by c.id))[1] as advice, sum(r.o_others) as others
      from (
        select h.entity_id, h.record_id, h.sqlstate, h.here, count(*) as events, min(h.first_at) as since, min(h.event_id) as id, min(h.last_error) as error,
          min(h.hint) filter (where h.advised) as advice
        from rowferry.held_events h
        where h.attempts > 0 and h.parent_record_id is null
        group by h.entity_id, h.record_id, h.sqlstate, h.here
      ) c
      join rowferry.entities e on e.id = c.entity_id and e.peer = v_link.peer and e.held_attempts = 0
      left join rowferry._roots(v_link.peer) r on r.o_entity_id = c.entity_id and r.o_record_id = c.record_id
      group by e.name, c.sqlstate, c.here, c.advice is null
      order by coalesce(sum(r.o_others), 0) + sum(c.events) desc
      limit 5
    ) g;
    v_named := v_named or found;
    return query
    select 'warning', format('%s records of %s refer to each other, and %s takes none of them without the other: %s', g.records, g.names, v_link.peer, g.error)
        || rowferry._others_wait(g.others, g.records),
      g.since, format('entity %s, record %s', g.name, g.record_id),
      format('alter table .. alter constraint .. deferrable; select rowferry.attach(..);  -- each foreign key between them, then one of their tables, on %s; then here: select * from rowferry.retry(%L);', v_link.peer, g.name)
    from (
      select count(*) as records, string_agg(distinct e.name, ' and ') as names, min(c.since) as since, (array_agg(e.name order by c.id))[1] as name,
        (array_agg(r.o_record_id order by c.id))[1] as record_id, (array_agg(c.error order by c.id))[1] as error, sum(r.o_others) as others
      from rowferry._roots(v_link.peer) r
      join rowferry.entities e on e.id = r.o_entity_id
      cross join lateral (
        select min(h.first_at) as since, min(h.event_id) as id, min(h.last_error) as error
        from rowferry.held_events h
        where h.entity_id = r.o_entity_id and rowferry._index_key(h.record_id) = rowferry._index_key(r.o_record_id)
      ) c
      where r.o_circle
    ) g
    where g.records > 0;
    v_named := v_named or found;
    return query
    select 'warning', format(case g.records when 1 then '%1$s %2$s was deleted on %4$s, and rows here that refer to it were made or changed meanwhile: the one excludes the other, and both wait'
          else '%3$s records of %1$s were deleted on %4$s, the first is %2$s, and rows here that refer to them were made or changed meanwhile: the one excludes the other, and both wait' end,
        (g.parent).name, g.record_id, g.records, v_link.peer) || rowferry._others_wait(g.others, g.records),
      null::timestamptz, format('entity %s, record %s', (g.parent).name, g.record_id),
      format('select * from rowferry.why_stuck();  -- on %s, whose line keeps %s %s; or give up here what refers to it: %s', v_link.peer, (g.parent).name, g.record_id,
        rowferry._delete_children_sql(g.parent, g.record_id))
    from (
      select e as parent, count(*) as records, min(r.o_record_id) as record_id, sum(r.o_others) as others
      from rowferry._roots(v_link.peer) r
      join rowferry.entities e on e.id = r.o_entity_id
      where r.o_deleted
        and not exists (select from rowferry.events v where v.entity_id = r.o_entity_id and rowferry._index_key(v.record_id) = rowferry._index_key(r.o_record_id))
      group by e.id
    ) g;
    v_named := v_named or found;
    return query
    select 'warning', format(case g.records when 1 then '%s record of %s is missing on %s, and nothing of it waits here' else '%s records of %s are missing on %s, and nothing of them waits here' end,
        g.records, g.name, v_link.peer) || rowferry._others_wait(g.others, g.records),
      null::timestamptz, format('entity %s, record %s', g.name, g.record_id),
      case g.records when 1 then format('select * from rowferry.replay(%L, %L);', g.name, g.record_id) else format('select * from rowferry.backfill(%L);', g.name) end
    from (
      select e.name, count(*) as records, min(r.o_record_id) as record_id, sum(r.o_others) as others
      from rowferry._roots(v_link.peer) r
      join rowferry.entities e on e.id = r.o_entity_id
      where not r.o_circle and not r.o_deleted
        and not exists (select from rowferry.events v where v.entity_id = r.o_entity_id and rowferry._index_key(v.record_id) = rowferry._index_key(r.o_record_id))
        and not exists (select from rowferry.backfills b where b.entity_id = e.id and b.finished_at is null)
      group by e.name
    ) g;
    v_named := v_named or found;
    return query
    select 'warning', format('%s %s: %s', count(*), case count(*) when 1 then 'event waits' else 'events wait' end, h.last_error), min(h.first_at),
      format('entity %s, record %s', e.name, min(h.record_id)), coalesce(min(h.hint), format('select * from rowferry.why_stuck();  -- on %s, for who has locked it', v_link.peer))
    from rowferry.held_events h
    join rowferry.entities e on e.id = h.entity_id and e.peer = v_link.peer and e.held_attempts = 0
    where h.attempts = 0 and h.patience is null and h.parent_record_id is null and h.first_at < v_now - c_soon
    group by e.name, h.last_error;
    v_named := v_named or found;

    return query
    select 'warning', format('%s does not answer a comparison, asked %s times', v_link.peer, c.unanswered), c.sent_at, format('run %s of entity %s', c.id, c.entity),
      format('select * from rowferry.why_stuck();  -- on %s', v_link.peer)
    from rowferry.comparisons c
    where c.peer = v_link.peer and c.state in ('walking', 'resolving') and c.unanswered > 3;
    v_named := v_named or found;

    -- Transactions that keep what they wrote to themselves. One that began after the last batch is as young as that.
    return query
    select case when u.since is null then 'info' else 'warning' end,
      case when u.events then 'a transaction has changed tables in sync and has not committed: its changes wait for it'
        else 'a transaction has changed rowferry.links and has not committed: each exchange waits for it' end,
      u.since, u.o_object, u.o_next
    from (
      select k.o_object, k.o_next, coalesce(k.o_began_at, rowferry._seen_at(k.o_xid)) as since, bool_or(k.o_relation = 'rowferry.events'::regclass) as events
      from rowferry._locks(array['rowferry.events'::regclass, 'rowferry.links'::regclass], array['RowExclusiveLock']) k
      where (k.o_pid = v_holder.o_pid) is not true
      group by 1, 2, 3
    ) u
    where coalesce(u.since < v_now - c_soon, not exists (select from rowferry.batches b where b.peer = v_link.peer and b.at > v_now - c_soon))
    order by u.since, u.o_object
    limit 5;

    if v_quiet and not v_named then
      return query select 'error', 'work waits, nothing has moved, and none of the known causes applies', greatest(v_due_since, v_link.last_exchange_at),
        'courier: ' || rowferry._session(v_courier), format('select * from rowferry.why_stuck();  -- on %s; then the log of rowferry run on %s',
        v_link.peer, v_link.courier ->> 'host');
    end if;
  end loop;

  -- Searches walk past dead rows that no vacuum may remove.
  return query
  select 'warning', format('%s dead rows of rowferry.events are kept, each exchange may have to pass them', pg_stat_get_dead_tuples('rowferry.events'::regclass)),
    k.o_since, k.o_object, k.o_next
  from rowferry._kept_by() k
  where pg_stat_get_dead_tuples('rowferry.events'::regclass) > 10000 and k.o_since < v_now - interval '1 min'
  limit 5;
end
$$;
comment on function rowferry.why_stuck(text) is
  'Why a link does not move, one row per cause, the gravest first, with what to type next. A link that is well has no rows. grant pg_read_all_stats to rowferry_owner; lets it say since when sessions hold what they hold, and their statements.';
