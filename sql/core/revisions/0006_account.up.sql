alter table rowferry.links
  add column received_digest bigint not null default 0,
  add column received_events bigint not null default 0,
  add column acked_digest bigint not null default 0,
  add column acked_events bigint not null default 0,
  add column peer_digest bigint not null default 0,
  add column peer_events bigint not null default 0,
  add column peer_problems integer not null default 0;
comment on column rowferry.links.received_digest is 'Digest over number, tag and taken events of all batches of the peer that were applied here in this generation.';
comment on column rowferry.links.received_events is 'Events taken in them; one that came in two batches counts twice.';
comment on column rowferry.links.acked_digest is 'The same digest of this node''s batches, computed here from the peer''s acknowledgements.';
comment on column rowferry.links.acked_events is 'Events in these acknowledgements.';
comment on column rowferry.links.peer_digest is 'The same digest as the peer computed it when it took them.';
comment on column rowferry.links.peer_events is 'Events that the peer says it took in them.';
comment on column rowferry.links.peer_problems is 'How many problems the peer has noted for its audit() of this link.';

alter table rowferry.taken_batches add column effect jsonb not null default '{}';
comment on column rowferry.taken_batches.effect is 'What the batch did, by entity: records that were taken, deletes among them, and refused ones.';

create table rowferry.batches (
  id bigint generated always as identity primary key,
  peer text not null references rowferry.links,
  direction text not null check (direction in ('sent', 'applied')),
  number bigint not null,
  tag uuid not null,
  records bigint not null,
  events bigint not null,
  refused bigint not null,
  conflicts integer not null,
  ms integer not null,
  at timestamptz not null
);
comment on table rowferry.batches is 'The last 10,000 batches and some: those of the peer when they were applied, own ones when the peer''s acknowledgement was heard.';
comment on column rowferry.batches.id is 'Order of the log.';
comment on column rowferry.batches.peer is 'The other node.';
comment on column rowferry.batches.direction is 'sent: to the peer; applied: from the peer, here.';
comment on column rowferry.batches.number is 'Number of the batch on the link, in its direction.';
comment on column rowferry.batches.tag is 'Its random tag, the same on both nodes.';
comment on column rowferry.batches.records is 'Records that were taken.';
comment on column rowferry.batches.events is 'Events that were taken; more than records where one changed several times.';
comment on column rowferry.batches.refused is 'Records that were refused; they stay with their sender, held.';
comment on column rowferry.batches.conflicts is 'Conflicts that were decided while it was applied.';
comment on column rowferry.batches.ms is 'Milliseconds it took to apply, or would have taken if all records had been tried.';
comment on column rowferry.batches.at is 'When it was applied, or its acknowledgement heard.';

create table rowferry.traffic (
  peer text not null references rowferry.links,
  entity text not null,
  direction text not null check (direction in ('sent', 'applied')),
  hour timestamptz not null,
  batches bigint not null,
  records bigint not null,
  deletes bigint not null,
  refused bigint not null,
  primary key (peer, entity, direction, hour)
) with (fillfactor = 50);
comment on table rowferry.traffic is 'What went over each link, by entity and hour, for 90 days.';
comment on column rowferry.traffic.peer is 'The other node.';
comment on column rowferry.traffic.entity is 'Kind of record.';
comment on column rowferry.traffic.direction is 'sent: to the peer; applied: from the peer, here.';
comment on column rowferry.traffic.hour is 'Begin of the hour, in UTC.';
comment on column rowferry.traffic.batches is 'Batches with records of this entity.';
comment on column rowferry.traffic.records is 'Records that were taken, deletes included.';
comment on column rowferry.traffic.deletes is 'Records that were deleted.';
comment on column rowferry.traffic.refused is 'Refusals; one record that is refused five times counts five.';

create table rowferry.left_events (
  peer text not null references rowferry.links,
  cause text not null,
  events bigint not null,
  primary key (peer, cause)
) with (fillfactor = 50);
comment on table rowferry.left_events is 'How many events have left the queue, by cause, since this was installed: counted by a trigger on events.';
comment on column rowferry.left_events.peer is 'The node they were for.';
comment on column rowferry.left_events.cause is 'taken (by the peer), lost (in a conflict), skipped, coalesced (a newer one of the same record says all), detached, by hand; or the function that removed them.';
comment on column rowferry.left_events.events is 'How many.';

create table rowferry.audit_problems (
  peer text not null references rowferry.links,
  what text not null,
  times integer not null,
  first_at timestamptz not null,
  last_at timestamptz not null,
  detail text not null,
  primary key (peer, what)
);
comment on table rowferry.audit_problems is 'What the numbers of a link have shown to be wrong; audit() names it until a person deletes the row.';
comment on column rowferry.audit_problems.peer is 'The other node.';
comment on column rowferry.audit_problems.what is 'What is wrong.';
comment on column rowferry.audit_problems.times is 'How often it was found.';
comment on column rowferry.audit_problems.first_at is 'When it was found first.';
comment on column rowferry.audit_problems.last_at is 'When it was found last.';
comment on column rowferry.audit_problems.detail is 'Where, the last time.';

create table rowferry.capture_cost (
  entity text not null references rowferry.entities (name) on delete cascade,
  statement text not null,
  rows integer not null,
  without_us numeric not null,
  with_us numeric not null,
  added_us numeric generated always as (with_us - without_us) stored,
  measured_at timestamptz not null,
  primary key (entity, statement, rows)
);
comment on table rowferry.capture_cost is 'What capture adds to a user''s statement, in microseconds; measure_capture_cost() fills it.';
comment on column rowferry.capture_cost.entity is 'Kind of record.';
comment on column rowferry.capture_cost.statement is 'insert, update or delete.';
comment on column rowferry.capture_cost.rows is 'Rows that the statement writes.';
comment on column rowferry.capture_cost.without_us is 'Median time of the statement without capture.';
comment on column rowferry.capture_cost.with_us is 'Median time of the statement with capture.';
comment on column rowferry.capture_cost.added_us is 'What capture adds.';
comment on column rowferry.capture_cost.measured_at is 'When it was measured.';

create trigger rowferry_count_left
after delete on rowferry.events
referencing old table as old_rows
for each statement execute function rowferry._count_left();
alter table rowferry.events enable always trigger rowferry_count_left;
comment on trigger rowferry_count_left on rowferry.events is 'Counts what leaves the queue, by cause, for audit().';
create trigger rowferry_count_truncated
before truncate on rowferry.events
for each statement execute function rowferry._count_left();
alter table rowferry.events enable always trigger rowferry_count_truncated;
comment on trigger rowferry_count_truncated on rowferry.events is 'Names whoever empties the queue, for audit().';

grant select on rowferry.batches, rowferry.traffic, rowferry.left_events, rowferry.audit_problems, rowferry.capture_cost to rowferry_viewer;
grant execute on function rowferry.audit(text) to rowferry_viewer;
grant delete on rowferry.audit_problems to rowferry_operator;
