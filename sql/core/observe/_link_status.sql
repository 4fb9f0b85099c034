create or replace function rowferry._link_status(
  p_peer text,
  out state text,
  out pending bigint,
  out held bigint,
  out bytes bigint,
  out oldest interval,
  out rate double precision,
  out last_exchange timestamptz,
  out courier text,
  out since timestamptz,
  out clock_difference interval,
  out reason text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set jit = off
as $$
declare
  c_no_worker constant text := 'no worker is at work: start rowferry run';
  c_never constant text := 'no worker has run yet: start rowferry run';
  c_no_token constant text := 'the link''s token has reached its highest number, so no worker can open an exchange any more: select * from rowferry.resync()';
  v_now timestamptz := clock_timestamp();
  v_link rowferry.links := (select l from rowferry.links l where l.peer = p_peer);
  v_node text := (select n.name from rowferry.node n);
  v_worker integer := rowferry._courier_at_work(v_node, p_peer);
  v_waiting record;
  v_uncaptured text := (select u.problem || ': ' || u.fix from rowferry._uncaptured(p_peer) u limit 1);
  v_entities text;  -- the errors of entities that wait for a person
  v_backfilling boolean;
  v_asked_at timestamptz;
  v_error text := format(case when v_link.courier_error ->> 'sqlstate' ~ '^(08|57P)' then '%s is out of reach: %s' else '%s answered: %s' end,
    v_link.courier_error ->> 'node', v_link.courier_error ->> 'message');
  -- Time alone does not mend these: the other node is another one, has no rowferry or an older one, or lets the worker do nothing.
  c_lasting constant text[] := '{RF002,RF003,RF006,RF007,42883,3F000,42P01,42501,0A000}';
  v_quiet interval;
  v_patience interval;
  v_unread text := (select p.o_problem || '. ' || p.o_next from rowferry._outbox_problem(v_link) p);  -- why nobody would read the outbox
  v_works boolean;  -- whether anything waits that is not held
begin
  select * into v_waiting from rowferry._waiting(p_peer);
  select string_agg(format('%s: %s. %s', e.name, e.held_error, e.held_hint), '; ' order by e.id) into v_entities
  from rowferry.entities e
  where e.peer = p_peer and (e.held_until = 'infinity' or e.held_here and e.held_sqlstate = '57014');
  select max(b.requested_at), coalesce(bool_or(e.held_until is distinct from 'infinity'), false) into v_asked_at, v_backfilling
  from rowferry.backfills b join rowferry.entities e on e.id = b.entity_id
  where e.peer = p_peer and b.finished_at is null;
  v_works := v_waiting.o_pending > v_waiting.o_held or v_backfilling;
  v_quiet := v_now - greatest(v_waiting.o_oldest_at, v_link.last_exchange_at, v_asked_at);
  -- A large row may take long on both nodes.
  v_patience := interval '1 min' + 1.4 * current_setting('deadlock_timeout')::interval * coalesce((
    select max(h.patience) from rowferry.held_events h join rowferry.entities e on e.id = h.entity_id where e.peer = p_peer and h.not_before <= v_now), 0);
  pending := v_waiting.o_pending;
  held := v_waiting.o_held;
  bytes := v_waiting.o_bytes;
  oldest := date_trunc('second', v_now - v_waiting.o_oldest_at);
  rate := (select coalesce(round(sum(b.records) / 60.0, 1), 0) from rowferry.batches b where b.peer = p_peer and b.at > rowferry._now() - interval '1 min');
  last_exchange := date_trunc('second', v_link.last_exchange_at);
  clock_difference := v_link.clock_difference;
  if v_worker is not null then
    courier := nullif(concat_ws(', ', v_link.courier ->> 'host', 'pid ' || (v_link.courier ->> 'pid')), '');
    since := date_trunc('second', v_link.opened_at);
  end if;
  if v_link.stopped_at is not null then
    state := 'stopped';
    reason := v_link.stopped_reason;
  elsif v_link.paused_at is not null then
    state := 'paused';
    reason := format('paused by %s since %s', v_link.paused_by, to_char(v_link.paused_at, 'YYYY-MM-DD HH24:MI:SS'));
  elsif v_uncaptured is not null or v_link.token_number >= 999999999999999 then
    state := 'stuck';
    reason := coalesce(v_uncaptured, c_no_token);
  elsif v_link.courier_error ->> 'sqlstate' = any (c_lasting) then
    state := 'stuck';
    reason := v_error || case when v_link.courier_error ->> 'sqlstate' = 'RF002'
      then format('; give alembic.ini and the variable of %s the right node, then: alembic upgrade head, rowferry run', v_link.courier_error ->> 'node')
      else '' end;
  elsif v_works and v_quiet > v_patience then
    state := 'stuck';
    reason := coalesce(
      (select format('%s holds the lock of the link: %s', h.o_object, h.o_next) from rowferry._lock_holders(rowferry._link_key(p_peer)) h
        where not h.o_stranger and h.o_pid is distinct from v_worker limit 1),
      v_unread, case when v_link.courier_error is not null then v_error when v_worker is null then c_no_worker
        else format('nothing has moved for %s: select * from rowferry.why_stuck()', date_trunc('second', v_quiet)) end);
  elsif held > 0 or v_entities is not null then
    state := 'held';
    reason := case
      when v_entities is not null then v_entities
      when v_waiting.o_held_for_parents > 0 then concat_ws(', ',
        case when held > v_waiting.o_held_for_parents then format('%s %s', held - v_waiting.o_held_for_parents,
          case when held - v_waiting.o_held_for_parents = v_waiting.o_held_here then 'cannot leave this node' else 'refused by ' || p_peer end) end,
        format('%s %s for rows that %s lacks', v_waiting.o_held_for_parents, case v_waiting.o_held_for_parents when 1 then 'waits' else 'wait' end, p_peer))
        || ': select * from rowferry.why_stuck()'
      else format('%s %s %s: select * from rowferry.sync_events where attempts > 0', held, case held when 1 then 'event' else 'events' end,
        case when held = v_waiting.o_held_here then 'cannot leave this node' else 'refused by ' || p_peer end) end;
  elsif v_works and (v_unread is not null or v_link.courier_error is not null or v_worker is null or not v_waiting.o_free) then
    state := 'waiting';
    reason := case when v_unread is not null then v_unread when v_link.courier_error is not null then v_error when v_worker is null then c_no_worker
      else 'what is pending is tried again later: select id, entity, record_id, not_before, last_error from rowferry.sync_events' end;
  else
    state := case when v_works then 'moving' else 'idle' end;
    reason := coalesce(v_unread, case when v_link.courier_error is not null then v_error when v_worker is null and v_link.opened_at is null then c_never
      else v_link.warning end);
  end if;
  reason := nullif(concat_ws('; ', reason, (
    select format('rows of %s may differ, because a comparison failed: select * from rowferry.why_stuck()', string_agg(f.entity, ', '))
    from rowferry._failed_choices(p_peer) f
    having count(*) > 0), (
    select format('nobody reads slot %s, for which the server keeps %s of write-ahead log', v_link.slot, pg_size_pretty(u.o_bytes))
    from rowferry._unread_wal(v_link.slot) u
    where not u.o_read), (
    select format('%s has no rights in rowferry and holds one of its locks; exchanges go on without this lock: %s', h.o_object, h.o_next)
    from unnest(array[rowferry._link_key(p_peer), rowferry._courier_lock(v_node, p_peer)]) k
    cross join lateral rowferry._lock_holders(k) h
    where h.o_stranger limit 1)), '');
end
$$;
comment on function rowferry._link_status(text) is
  'For the view status: where the link to a peer stands, and why. A function, because people who may read the view may not read these tables.';
