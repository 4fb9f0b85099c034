create or replace view rowferry.compare_runs as
select c.id as run_id, c.peer, c.entity, c.kind, c.state, c.rows_here, c.rows_there, c.same, c.different, c.only_here, c.only_there, c.pending, c.resolved,
  date_trunc('milliseconds', coalesce(c.finished_at, clock_timestamp()) - c.requested_at) as took, c.requested_at, c.requested_by, c.finished_at, c.error
from rowferry.comparisons c
order by c.id desc;
comment on view rowferry.compare_runs is 'Comparisons asked for on this node, newest first.';
comment on column rowferry.compare_runs.run_id is 'Number of the run.';
comment on column rowferry.compare_runs.peer is 'The other node.';
comment on column rowferry.compare_runs.entity is 'What was compared.';
comment on column rowferry.compare_runs.kind is 'compare or first_contact.';
comment on column rowferry.compare_runs.state is
  'queued, walking, finished, failed; resolving and resolved once repair() or first_contact() has set out to make the rows equal.';
comment on column rowferry.compare_runs.rows_here is 'Rows walked on this node.';
comment on column rowferry.compare_runs.rows_there is 'Rows walked on the other node.';
comment on column rowferry.compare_runs.same is 'Records that are equal on both.';
comment on column rowferry.compare_runs.different is 'Records whose rows differ.';
comment on column rowferry.compare_runs.only_here is 'Records that only this node has.';
comment on column rowferry.compare_runs.only_there is 'Records that only the other node has.';
comment on column rowferry.compare_runs.pending is
  'Records that could not be judged: a change of them waits, or was waiting each time they were looked at, or their row is too large.';
comment on column rowferry.compare_runs.resolved is 'Differences for which an event was queued since.';
comment on column rowferry.compare_runs.took is 'From the request to the end.';
comment on column rowferry.compare_runs.requested_at is 'When it was asked for.';
comment on column rowferry.compare_runs.requested_by is 'By whom.';
comment on column rowferry.compare_runs.finished_at is 'When it ended.';
comment on column rowferry.compare_runs.error is 'Why it failed.';
