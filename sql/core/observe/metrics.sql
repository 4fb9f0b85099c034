create or replace view rowferry.metrics as
with links as materialized (
  select jsonb_build_object('node', n.name, 'peer', s.peer) as labels, s.state, s.pending, s.held, s.bytes, s.oldest, s.rate, s.last_exchange,
    s.courier, s.clock_difference
  from rowferry.status s cross join rowferry.node n
), waiting as (
  select s.peer, s.entity, count(*) as pending, count(*) filter (where s.attempts > 0) as held from rowferry.sync_events s group by s.peer, s.entity
)
select 'rowferry_' || m.name as name, m.help, l.labels, m.value::double precision as value
from links l
cross join lateral (values
  ('well', '1 if moving, idle, or waiting for less than a minute; else rowferry.why_stuck() says why', (l.state in ('moving', 'idle', 'waiting'))::integer),
  ('works', '1 while work moves or there is none; 0 if the link is stuck or stopped, or is paused and work waits',
    (l.state not in ('stuck', 'stopped') and (l.state <> 'paused' or l.pending = 0))::integer),
  ('pending', 'Events that wait', l.pending),
  ('held', 'Events that were refused there, or cannot leave this node', l.held),
  ('bytes', 'About how much disk the events that wait take, with their indexes', l.bytes),
  ('oldest_seconds', 'Age of the oldest event that waits', coalesce(extract(epoch from l.oldest), 0)),
  ('rate', 'Records per second over the last minute, both directions', l.rate),
  ('idle_seconds', 'Since a batch was applied or acknowledged; -1 if never', coalesce(extract(epoch from clock_timestamp() - l.last_exchange), -1)),
  ('courier', '1 while a worker is at work', (l.courier is not null)::integer),
  ('clock_difference_seconds', 'The peer''s clock less this node''s', extract(epoch from l.clock_difference))
) m (name, help, value)
where m.value is not null
union all
select 'rowferry_causes_count',
  'Rows of rowferry.why_stuck(); error: the whole link stands still, or changes of a table are lost; warning: something does not move',
  jsonb_build_object('node', n.name, 'severity', v.severity), count(w.severity)
from rowferry.node n
cross join (values ('error'), ('warning')) v (severity)
left join rowferry.why_stuck() w on w.severity = v.severity
group by n.name, v.severity
union all
select 'rowferry_entity_' || m.name, m.help, jsonb_build_object('node', n.name, 'peer', e.peer, 'entity', e.name), m.value
from rowferry.node n
cross join rowferry.entities e
left join waiting s on s.peer = e.peer and s.entity = e.name
cross join lateral (values
  ('pending', 'Events of this kind of record that wait', coalesce(s.pending, 0)),
  ('held', 'Events of this kind of record that were refused there, or cannot leave this node', coalesce(s.held, 0))
) m (name, help, value)
union all
select 'rowferry_conflicts_total', 'Conflicts that are kept (see set_retention)',
  jsonb_build_object('node', n.name, 'peer', c.peer, 'entity', c.entity), count(*)
from rowferry.node n cross join rowferry.conflicts c
group by n.name, c.peer, c.entity;
comment on view rowferry.metrics is
  'What status, why_stuck(), sync_events and conflicts say, as numbers to draw and to be warned by. rowferry run --metrics serves them to Prometheus.';
comment on column rowferry.metrics.name is 'What the number is, as Prometheus names it.';
comment on column rowferry.metrics.help is 'The same in words.';
comment on column rowferry.metrics.labels is 'What it is of: node, and peer, entity or severity.';
comment on column rowferry.metrics.value is 'The number.';
