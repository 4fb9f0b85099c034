create table rowferry.comparisons (
  id bigint generated always as identity primary key,
  tag uuid not null default gen_random_uuid(),
  peer text not null references rowferry.links,
  entity text not null,
  kind text not null,
  state text not null default 'queued',
  phase text not null default 'here',
  walked_to text,
  chunk integer not null default 500,
  step integer not null default 0,
  sent_at timestamptz,
  sent_token text,
  unanswered integer not null default 0,
  round integer not null default 0,
  not_before timestamptz,
  rows_here bigint not null default 0,
  rows_there bigint not null default 0,
  same bigint not null default 0,
  different bigint not null default 0,
  only_here bigint not null default 0,
  only_there bigint not null default 0,
  pending bigint not null default 0,
  on_purpose bigint not null default 0,
  listed bigint not null default 0,
  only_here_choice text,
  only_there_choice text,
  different_choice text,
  resolved bigint not null default 0,
  first_event_id bigint not null default 0,
  last_event_id bigint not null default 0,
  requested_at timestamptz not null,
  requested_by text not null,
  finished_at timestamptz,
  error text
);
comment on table rowferry.comparisons is
  'Comparisons that this node was asked for, the last 20 of each entity; the other node keeps nothing of them. People read the view compare_runs.';
comment on column rowferry.comparisons.id is 'Number of the run.';
comment on column rowferry.comparisons.tag is 'Name of the run in envelopes.';
comment on column rowferry.comparisons.peer is 'The other node.';
comment on column rowferry.comparisons.entity is 'Name of the entity.';
comment on column rowferry.comparisons.kind is 'compare or first_contact.';
comment on column rowferry.comparisons.state is 'queued, walking, finished, failed, resolving, resolved.';
comment on column rowferry.comparisons.phase is
  'here: the rows of this node are walked; there: those of the other node; again: records that were left out are asked for again.';
comment on column rowferry.comparisons.walked_to is 'Last key of the walk, or of what was resolved.';
comment on column rowferry.comparisons.chunk is 'Rows in one question; adapts to the time that it takes on either node.';
comment on column rowferry.comparisons.step is 'Number of the last question.';
comment on column rowferry.comparisons.sent_at is 'When the last question was sent; null: it was answered.';
comment on column rowferry.comparisons.sent_token is 'Token of the courier that carried it.';
comment on column rowferry.comparisons.unanswered is 'Number of questions since the last answer.';
comment on column rowferry.comparisons.round is 'How often records that were left out have been asked for again.';
comment on column rowferry.comparisons.not_before is 'When the next round begins.';
comment on column rowferry.comparisons.rows_here is 'Rows walked on this node.';
comment on column rowferry.comparisons.rows_there is 'Rows walked on the other node.';
comment on column rowferry.comparisons.same is 'Records that are equal.';
comment on column rowferry.comparisons.different is 'Records whose rows differ.';
comment on column rowferry.comparisons.only_here is 'Records that only this node has.';
comment on column rowferry.comparisons.only_there is 'Records that only the other node has.';
comment on column rowferry.comparisons.pending is 'Records that are not judged.';
comment on column rowferry.comparisons.on_purpose is
  'Number of the records that differ, or exist on one node only, because a skip on either node left them so.';
comment on column rowferry.comparisons.listed is 'Rows of this run in compared_records.';
comment on column rowferry.comparisons.only_here_choice is 'Whose row is to stay of records that only this node has: here or there; null: nothing is done.';
comment on column rowferry.comparisons.only_there_choice is 'Whose row is to stay of records that only the other node has, likewise.';
comment on column rowferry.comparisons.different_choice is 'Whose row is to stay of records that differ, likewise; also newest by a column.';
comment on column rowferry.comparisons.resolved is 'Differences for which an event was queued.';
comment on column rowferry.comparisons.first_event_id is 'First of the events that were queued last.';
comment on column rowferry.comparisons.last_event_id is 'Last of the events that were queued last; more are queued once none of them is pending.';
comment on column rowferry.comparisons.requested_at is 'When it was asked for.';
comment on column rowferry.comparisons.requested_by is 'Who asked for it.';
comment on column rowferry.comparisons.finished_at is 'When it ended.';
comment on column rowferry.comparisons.error is 'Why it failed.';

create index comparisons_open on rowferry.comparisons (peer, id) where state in ('queued', 'walking', 'resolving');

create trigger stir after insert or update on rowferry.comparisons execute function rowferry._stir();
alter table rowferry.comparisons enable always trigger stir;
comment on trigger stir on rowferry.comparisons is 'Tells the courier to look again.';
