-- Where each link stands, one row per peer.
create or replace view rowferry.status as
select s.peer,
  case
    when s.stopped_at is not null then 'stopped'
    when s.paused_at is not null then 'paused'
    when s.uncaptured is not null or s.token_number >= 999999999999999 then 'stuck'
    when s.waiting and s.quiet > s.patience then 'stuck'
    when s.held > 0 or s.waits is not null then 'held'
    when s.waiting and (s.courier_error is not null or not s.at_work or not s.free) then 'waiting'
    when s.waiting then 'moving'
    else 'idle'
  end as state,
  s.pending, s.held, s.oldest, rowferry._rate(s.peer) as rate, date_trunc('second', s.last_exchange_at) as last_exchange,
  case when s.at_work then nullif(concat_ws(', ', s.courier ->> 'host', 'pid ' || (s.courier ->> 'pid')), '') end as courier,
  case when s.at_work then date_trunc('second', s.opened_at) end as since,
  s.clock_difference,
  nullif(concat_ws('; ', case
    when s.stopped_at is not null then s.stopped_reason
    when s.paused_at is not null then format('paused by %s since %s', s.paused_by, to_char(s.paused_at, 'YYYY-MM-DD HH24:MI:SS'))
    when s.uncaptured is not null then s.uncaptured
    when s.token_number >= 999999999999999 then 'the number of its token has reached its end, no courier can open any more: select * from rowferry.resync()'
    when s.waiting and s.quiet > s.patience then case
      when s.holder is not null then s.holder
      when s.courier_error is not null then s.error
      when not s.at_work then 'no courier is at work: start rowferry run'
      else format('nothing has moved for %s: select * from rowferry.why_stuck()', date_trunc('second', s.quiet)) end
    when s.waits is not null then s.waits
    when s.held_waiting > 0 then concat_ws(', ', case when s.held > s.held_waiting then format('%s %s', s.held - s.held_waiting,
        case when s.held - s.held_waiting = s.held_here then 'cannot leave this node' else 'refused by ' || s.peer end) end,
      format('%s %s for rows that %s lacks', s.held_waiting, case s.held_waiting when 1 then 'waits' else 'wait' end, s.peer)) || ': select * from rowferry.why_stuck()'
    when s.held > 0 then format('%s %s %s: select * from rowferry.sync_events where attempts > 0', s.held, case s.held when 1 then 'event' else 'events' end,
      case when s.held = s.held_here then 'cannot leave this node' else 'refused by ' || s.peer end)
    when s.courier_error is not null then s.error
    when s.waiting and not s.at_work then 'no courier is at work: start rowferry run'
    when s.waiting and not s.free then 'what is pending is tried again later: select id, entity, record_id, not_before, last_error from rowferry.sync_events'
    else s.warning
  end, s.stranger), '') as reason
from (
  select l.peer, l.token_number, l.paused_at, l.paused_by, l.stopped_at, l.stopped_reason, l.opened_at, l.last_exchange_at, l.courier, l.courier_error, l.warning, l.clock_difference,
    (select u.problem || ': ' || u.fix from rowferry._uncaptured(l.peer) u limit 1) as uncaptured, q.pending, q.held, q.held_here, q.held_waiting, q.free,
    date_trunc('second', clock_timestamp() - q.oldest_at) as oldest,
    q.pending > q.held or exists (
      select from rowferry.backfills b join rowferry.entities e on e.id = b.entity_id where e.peer = l.peer and b.finished_at is null
        and e.held_until is distinct from 'infinity') as waiting,
    clock_timestamp() - greatest(q.oldest_at, l.last_exchange_at, (
      select max(b.requested_at) from rowferry.backfills b join rowferry.entities e on e.id = b.entity_id
      where e.peer = l.peer and b.finished_at is null)) as quiet,
    -- A large row may take long on both nodes.
    interval '1 min' + 1.4 * current_setting('deadlock_timeout')::interval * coalesce((
      select max(h.patience) from rowferry.held_events h join rowferry.entities e on e.id = h.entity_id where e.peer = l.peer and h.not_before <= clock_timestamp()), 0)
      as patience,
    (select string_agg(format('%s: %s. %s', e.name, e.held_error, e.held_hint), '; ' order by e.id)
      from rowferry.entities e where e.peer = l.peer and (e.held_until = 'infinity' or e.held_here and e.held_sqlstate = '57014')) as waits,
    format(case when l.courier_error ->> 'sqlstate' ~ '^(08|57P)' then '%s is out of reach: %s' else '%s answered: %s' end,
      l.courier_error ->> 'node', l.courier_error ->> 'message') as error,
    rowferry._courier_at_work(n.name, l.peer) is not null as at_work,
    (select format('%s holds the lock of the link: %s', h.o_object, h.o_next) from rowferry._lock_holders(rowferry._link_key(l.peer)) h
      where not h.o_stranger and h.o_pid is distinct from rowferry._courier_at_work(n.name, l.peer) limit 1) as holder,
    (select format('%s may do nothing here and holds a lock of rowferry''s, which is gone without: %s', h.o_object, h.o_next)
      from unnest(array[rowferry._link_key(l.peer), rowferry._courier_lock(n.name, l.peer)]) k
      cross join lateral rowferry._lock_holders(k) h
      where h.o_stranger limit 1) as stranger
  from rowferry.links l
  -- Said to be one row, so that the planner expects no work that would be worth compiling.
  cross join (select n.name from rowferry.node n limit 1) n
  cross join lateral rowferry._waiting(l.peer) q (pending, held, held_here, held_waiting, free, oldest_at)
) s;
comment on view rowferry.status is 'Where each link stands, one row per peer. Start here.';
comment on column rowferry.status.peer is 'The other node.';
comment on column rowferry.status.state is 'moving, idle, waiting (work is pending that nobody carries, or that is tried again later; reason says why), paused, held (some rows are refused, or an entity is paused or waits for approve(); all others move), stuck (work waits and nothing has moved for a minute, or a table is not captured any more, or it or a column of it is another one by now, on this node or on the other), stopped (by the memory check).';
comment on column rowferry.status.pending is 'Events that wait, the held ones included.';
comment on column rowferry.status.held is 'Events set aside because the peer refused their row, lacks its parent, or this node cannot send it, without those that a person has given up.';
comment on column rowferry.status.oldest is 'Age of the oldest event that waits.';
comment on column rowferry.status.rate is 'Records per second, in both directions, over the last minute.';
comment on column rowferry.status.last_exchange is 'Last exchange in which a batch was applied here or acknowledged by the peer; an idle poll writes nothing.';
comment on column rowferry.status.courier is 'Host and process id of the worker that holds the lock; null: none.';
comment on column rowferry.status.since is 'When that worker opened its exchange; null: none is at work.';
comment on column rowferry.status.clock_difference is 'The other node''s clock less this one''s; null: not known yet.';
comment on column rowferry.status.reason is 'Why, when it is not well; select * from rowferry.why_stuck() says more.';
