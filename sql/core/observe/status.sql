create or replace view rowferry.status as
select l.peer, s.state, s.pending, s.held, s.bytes, s.oldest, s.rate, s.last_exchange, s.courier, s.since, s.clock_difference, s.reason
from rowferry.links l
cross join lateral rowferry._link_status(l.peer) s;
comment on view rowferry.status is 'Where each link stands, one row per peer. Start here.';
comment on column rowferry.status.peer is 'The other node, or an outbox.';
comment on column rowferry.status.state is
  'moving; idle; waiting: work is pending that nobody carries, or that is tried again later (reason says why); paused; '
  'held: some rows are refused, or an entity is paused or waits for approve(), and all others move; '
  'stuck: work waits and nothing has moved for a minute, or a table is not captured any more, or it or one of its columns is another one by now, '
  'on this node or on the peer, or the other node cannot exchange at all (no such peer, no rights, another version); stopped: by the memory check, '
  'or because more waited for the peer than set_backlog_limit() allows.';
comment on column rowferry.status.pending is 'Events that wait, the held ones included.';
comment on column rowferry.status.held is
  'Events set aside because the peer refused their row or lacks its parent, or because this node cannot send it; without those that a person has given up.';
comment on column rowferry.status.bytes is 'About how much disk the events that wait take, with their indexes; set_backlog_limit() can limit it.';
comment on column rowferry.status.oldest is 'Age of the oldest event that waits.';
comment on column rowferry.status.rate is 'Records per second, in both directions, over the last minute.';
comment on column rowferry.status.last_exchange is 'Last exchange in which a batch was applied here or acknowledged by the peer.';
comment on column rowferry.status.courier is 'Host and process id of the worker that holds the lock; null: none.';
comment on column rowferry.status.since is 'When that worker opened its exchange; null: none is at work.';
comment on column rowferry.status.clock_difference is 'The other node''s clock less this one''s; null: not known yet.';
comment on column rowferry.status.reason is 'Why the link is not well; select * from rowferry.why_stuck(); says more.';
