create or replace function rowferry._stuck_link(
  p_link rowferry.links,
  p_due_since timestamptz,
  p_quiet boolean,
  p_backfilling boolean,
  p_patience integer
)
returns setof rowferry._cause
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_link text := 'link to ' || p_link.peer;
  v_keys bigint[] := array[rowferry._link_key(p_link.peer), rowferry._courier_lock((select n.name from rowferry.node n), p_link.peer)];
  v_worker integer := rowferry._courier_at_work((select n.name from rowferry.node n), p_link.peer);
begin
  return query
  select 'error', split_part(p_link.stopped_reason, '. Next, ', 1), p_link.stopped_at, v_link,
    case when p_link.cut_at is null then 'select * from rowferry.resync();  -- on each node that is stopped, once you know which one is right; until the '
        || 'sequences that it names are moved, let nobody write to a node that was restored'
      else format('select * from rowferry.resync(%L);  -- once %1$s is back; or, if it is gone for good: select rowferry.remove_peer(%1$L, p_force => true);',
        p_link.peer) end
  where p_link.stopped_at is not null
  union all
  select 'error', 'paused by ' || p_link.paused_by, p_link.paused_at, v_link, format('select * from rowferry.resume(%L);', p_link.peer)
  where p_link.paused_at is not null
  union all
  select 'error', u.problem, null::timestamptz, u.object, u.fix
  from rowferry._uncaptured(p_link.peer) u;
  return query
  select 'info', format('a role without rights in rowferry holds the lock of the %s: exchanges go on without this lock',
      case k.place when 1 then 'link' else 'worker' end), null::timestamptz, h.o_object, h.o_next
  from unnest(v_keys) with ordinality k (key, place)
  cross join lateral rowferry._lock_holders(k.key) h
  where h.o_stranger;
  if p_link.stopped_at is not null or p_link.paused_at is not null then
    return;
  end if;
  return query
  select 'error', p.o_problem, p_due_since, v_link, p.o_next
  from rowferry._outbox_problem(p_link) p
  where p.o_problem is not null
  union all
  select 'info', format('nobody reads slot %s, for which the server keeps %s of write-ahead log', p_link.slot, pg_size_pretty(u.o_bytes)), null,
    v_link, 'Start Debezium, or see its log.'
  from rowferry._unread_wal(p_link.slot) u
  where not u.o_read;
  return query
  -- The error that the worker got when it last opened an exchange. The worker told it, because a node that is out of reach cannot be asked.
  select 'error', format(case when w.away then '%s is out of reach: %s' else '%s answered: %s' end, w.node, p_link.courier_error ->> 'message'),
    p_link.opened_at, format('worker on %s, pid %s', p_link.courier ->> 'host', p_link.courier ->> 'pid'),
    case when w.away then format('pg_isready -d "$ROWFERRY_NODE_%s"  # where the worker runs; if no server answers, look whether it runs and read its log; '
      || 'else: ', upper(w.node)) else '' end || format('select * from rowferry.why_stuck();  -- on %s', w.node)
  from (values (p_link.courier_error ->> 'node', p_link.courier_error ->> 'sqlstate' ~ '^(08|57P)')) w (node, away)
  where p_link.courier_error is not null
  union all
  select 'error', 'no worker is at work' || coalesce('; the last one was pid ' || (p_link.courier ->> 'pid') || ' on ' || (p_link.courier ->> 'host'), ''),
    p_due_since, v_link, 'rowferry run  # if one runs, it may wait for a lock on the other node: call why_stuck() there too'
  where p_link.courier_error is null and (p_due_since is not null or p_backfilling) and v_worker is null
  union all
  -- A commit that waits for a standby is written here already, and keeps its locks until the standby has it too.
  select 'error', 'each commit waits for a synchronous standby, ' || case when w.since is null then 'and none is connected' else 'which does not answer' end,
    w.since, format('setting synchronous_standby_names = %L', s.names),
    'select application_name, state, sync_state from pg_stat_replication;  -- bring the standby back; '
      || 'or go on without it: alter system set synchronous_standby_names = ''''; select pg_reload_conf();'
  from (values (current_setting('synchronous_standby_names'))) s (names)
  cross join (
    -- Only pg_read_all_stats shows these.
    select min(a.state_change) from pg_stat_activity a where a.wait_event = 'SyncRep' and a.state_change < rowferry._now() - interval '10 s') w (since)
  where s.names <> '' and (w.since is not null or not exists (select from pg_stat_replication))
  union all
  select 'error', format('%s becomes the role %I as it connects, which may not call process_batch()',
      coalesce('the worker''s login ' || quote_ident(l.rolname), 'every login'), r.rolname), null,
        coalesce('role ' || quote_ident(l.rolname), format('database %I', current_database())),
    concat_ws(' ', 'alter', case when l.oid is not null then format('role %I', l.rolname) when d.setdatabase = 0 then 'role all'
        else format('database %I', current_database()) end,
      case when l.oid is not null and d.setdatabase <> 0 then format('in database %I', current_database()) end, 'reset role;')
  from pg_db_role_setting d
  cross join lateral unnest(d.setconfig) c (setting)
  join pg_roles r on c.setting = 'role=' || r.rolname
  left join pg_roles l on l.oid = d.setrole
  where v_worker is null and d.setdatabase in (0, (select b.oid from pg_database b where b.datname = current_database()))
    and (d.setrole = 0 or l.rolcanlogin and not l.rolsuper and pg_has_role(l.oid, 'rowferry_worker', 'member'))
    and not has_function_privilege(r.oid, 'rowferry.process_batch(text, text, bytea, integer, jsonb, boolean, interval)', 'execute')
  union all
  select 'error', 'the link''s token has reached its highest number, so no worker can open an exchange any more', p_link.opened_at, v_link,
    'select * from rowferry.resync();  -- and find out who else has the role rowferry_worker: no worker gets that far by itself'
  where p_link.token_number >= 999999999999999
  union all
  -- A call of the worker ends by itself, whatever happens; between two calls its session is idle.
  select case when not t.calls then 'error' when t.since is null then 'info' else 'warning' end,
    case when t.calls then 'a call of the worker is running' else 'the lock of the link is held by a transaction that does not end' end
      || coalesce('; it waits for pid ' || nullif(array_to_string(pg_blocking_pids(h.o_pid), ', pid '), ''), ''),
    t.since, case when h.o_pid is null then h.o_object else rowferry._session(h.o_pid) end,
    case when t.calls then format('select * from rowferry.why_stuck();  -- again; if it is running each time, read the log of rowferry run on %s',
      p_link.courier ->> 'host') else h.o_next end
  from (select k.* from rowferry._lock_holders(v_keys[1]) k where not k.o_stranger limit 1) h
  left join pg_stat_activity a on a.pid = h.o_pid
  cross join lateral (
    select coalesce(a.xact_start, rowferry._seen_at(coalesce(a.backend_xid, a.backend_xmin))) as since,
      h.o_pid is not distinct from v_worker and h.o_pid is not null and coalesce(a.state, 'active') = 'active' as calls) t
  where t.since < rowferry._now() - interval '10 s' * p_patience or t.since is null and p_quiet;
end
$$;
comment on function rowferry._stuck_link(rowferry.links, timestamptz, boolean, boolean, integer) is
  'For why_stuck(): what keeps a whole link still. p_due_since is since when work has waited. p_quiet says that nothing has moved for longer than usual. '
  'p_patience is how many times as long as usual a call may take.';
