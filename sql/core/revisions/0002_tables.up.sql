-- All tables of rowferry. The life of a change through them:
-- a trigger writes events; process_batch() notes what it sent in built_batches and what it took from the peer in
-- taken_batches; a refused row waits in held_events; links holds the numbers of each exchange.
create table rowferry.links (
  peer text primary key,
  generation bigint not null default 1,
  peer_generation bigint not null default 0,
  token_number bigint not null default 0,
  token_random text not null default '',
  ready boolean not null default false,
  built bigint not null default 0,
  top bigint not null default 0,
  acked bigint not null default 0,
  acked_tag uuid,
  received bigint not null default 0,
  received_tag uuid,
  batch_limit integer not null default 500,
  growth integer not null default 1,
  first_id bigint not null default 0,
  horizon_id bigint,
  horizon_xid xid8,
  peer_identity jsonb,
  paused_at timestamptz,
  paused_by text,
  stopped_at timestamptz,
  stopped_reason text,
  opened_at timestamptz,
  last_exchange_at timestamptz,
  courier jsonb,
  courier_error jsonb,
  warning text,
  clock_difference interval,
  unlocked bigint not null default 0,
  users_timeout interval,
  peer_unsettled text[] not null default '{}',
  told_settled text[] not null default '{}'
);
comment on table rowferry.links is 'What this node keeps about each peer: the numbers of the exchange, its token, whether it is paused or stopped.';
comment on column rowferry.links.peer is 'Name of the other node.';
comment on column rowferry.links.generation is 'Generation of the link; resync() starts a new one, in which all numbers begin again.';
comment on column rowferry.links.peer_generation is 'Highest generation that the peer has spoken in; a lower one later means that it was set back.';
comment on column rowferry.links.token_number is 'Number of the courier whose envelopes are accepted; only a greater token replaces it.';
comment on column rowferry.links.token_random is 'Random part of the token, which orders couriers that chose the same number.';
comment on column rowferry.links.ready is 'Whether this exchange has heard what the peer already holds; nothing is built before.';
comment on column rowferry.links.built is 'Highest batch number ever built in this generation; never rewound.';
comment on column rowferry.links.top is 'Last batch number built in this exchange.';
comment on column rowferry.links.acked is 'Last own batch that the peer is known to have applied.';
comment on column rowferry.links.acked_tag is 'Random tag of that batch.';
comment on column rowferry.links.received is 'Last batch of the peer applied here.';
comment on column rowferry.links.received_tag is 'Random tag of that batch.';
comment on column rowferry.links.batch_limit is 'Events per batch; adapts to the time the peer needs to apply them.';
comment on column rowferry.links.growth is 'Factor on batch_limit while the peer refuses rows whose companions were not in the batch.';
comment on column rowferry.links.first_id is 'No event below it waits for its first batch: where the search for the next batch begins, past all that has left but that no vacuum may remove yet.';
comment on column rowferry.links.horizon_id is 'Last event id given out when horizon_xid was noted.';
comment on column rowferry.links.horizon_xid is 'Once every transaction before this one has ended, no event up to horizon_id can appear any more, and first_id moves on.';
comment on column rowferry.links.peer_identity is 'System identifier, database oid and timeline that the peer showed first.';
comment on column rowferry.links.paused_at is 'Since when pause() holds the link still; null when it may move.';
comment on column rowferry.links.paused_by is 'Who paused it.';
comment on column rowferry.links.stopped_at is 'Since when the memory check holds the link still; resync() ends it.';
comment on column rowferry.links.stopped_reason is 'What the memory check found.';
comment on column rowferry.links.opened_at is 'When the present courier opened its exchange.';
comment on column rowferry.links.last_exchange_at is 'Last exchange in which a batch was applied here or acknowledged by the peer; an idle poll writes nothing.';
comment on column rowferry.links.courier is 'Host and process id of the courier that opened the exchange.';
comment on column rowferry.links.courier_error is 'Last error that the courier reported about the peer; null once an exchange has moved.';
comment on column rowferry.links.unlocked is 'Calls that went without the advisory lock of the link, since a stranger held it; another call that ran meanwhile finds it changed and is rolled back.';
comment on column rowferry.links.users_timeout is 'Shortest deadlock_timeout that a role or a database has of its own, as of the opening: who waits for longer looks for deadlocks. Null: none has one.';
comment on column rowferry.links.clock_difference is 'Clock of the peer minus that of this node, when the peer last told it; the time that the envelope took is in it.';
comment on column rowferry.links.peer_unsettled is 'Entities whose overwritten rows the peer notes as conflicts, as it last said (see entities.unsettled_since).';
comment on column rowferry.links.told_settled is 'Those of them that the last envelope named as settled; until the peer knows, a call has news.';
comment on column rowferry.links.warning is 'What was noticed but does not stop the link, such as a failover of the peer.';

create sequence rowferry.entity_ids as integer;
comment on sequence rowferry.entity_ids is 'The last id or version that an entity was given; no id is given twice, whatever is left of an entity that was detached.';

create table rowferry.entities (
  id integer primary key,
  name text not null unique,
  peer text not null references rowferry.links,
  relation regclass not null unique,
  relation_name text not null,
  relation_oid oid not null,
  key_columns text[] not null,
  key_types text[] not null,
  columns text[] not null,
  local_columns text[] not null,
  column_types text[] not null,
  column_numbers smallint[],
  columns_given boolean not null default false,
  conflict_rule text not null default 'newest',
  orphan_rule text not null default 'hold',
  direction text not null default 'both',
  filter text,
  filter_columns text[],
  filter_types text[],
  filter_left text not null default 'delete',
  within text,
  within_columns text[],
  within_parent_columns text[],
  outbound text,
  inbound text,
  on_apply text,
  cycle integer,
  trigger_rule text not null default 'guard',
  attached_at timestamptz not null default now(),
  unsettled_since timestamptz,
  held_attempts integer not null default 0,
  held_here boolean not null default false,
  held_until timestamptz,
  held_sqlstate text,
  held_error text,
  held_hint text,
  version integer not null default 0
);
comment on table rowferry.entities is 'Tables kept in sync: one row per attach().';
comment on column rowferry.entities.id is 'Short name of the entity in events.';
comment on column rowferry.entities.name is 'Name that both nodes use for this kind of record.';
comment on column rowferry.entities.peer is 'The node it is kept in sync with.';
comment on column rowferry.entities.relation is 'The table on this node.';
comment on column rowferry.entities.relation_name is 'The name, with its schema, under which attach() last found the table: that of its functions. If it means another table now, or none, the entity is held.';
comment on column rowferry.entities.relation_oid is 'The number by which these functions know the table; a restored dump gives it another.';
comment on column rowferry.entities.key_columns is 'Entity columns that make the key, sorted by name; record_id holds them in this order.';
comment on column rowferry.entities.key_types is 'How the text of each of them is spelled: a type, or number or text for types that spell alike. Both nodes must agree.';
comment on column rowferry.entities.columns is 'Entity columns that travel, sorted by name.';
comment on column rowferry.entities.local_columns is 'Column of the table, or of the outbound view, behind each of them.';
comment on column rowferry.entities.column_types is 'Type of each of them for which the generated functions were made, as both nodes spell it. If a column has another one now, the entity is held.';
comment on column rowferry.entities.column_numbers is 'Number of each of them in the table (pg_attribute.attnum), by which a column that was dropped and added again is told from the one that was attached; null where a view says what travels.';
comment on column rowferry.entities.columns_given is 'Whether p_columns named the columns, which stay until it names others; else attach(), called again, takes all that the table has by then.';
comment on column rowferry.entities.conflict_rule is 'What decides a conflict: newest, node:name or merge:schema.function. Both nodes must agree.';
comment on column rowferry.entities.orphan_rule is 'What becomes of a row whose parent the other node deleted meanwhile: hold, drop (the row goes) or revive (the parent comes back). Both nodes must agree.';
comment on column rowferry.entities.direction is 'Which way rows go: both, send (this node''s rows only) or receive (the peer''s rows only).';
comment on column rowferry.entities.filter is 'Condition on the table''s columns, as SQL; only rows for which it is true are kept in sync. Null: all.';
comment on column rowferry.entities.filter_columns is 'Columns of the table that the filter uses.';
comment on column rowferry.entities.filter_types is 'Type of PostgreSQL''s own in which the filter sees each of them; for an enum, which it sees as text, enum and those values that it names.';
comment on column rowferry.entities.filter_left is 'What becomes of the peer''s row when the row here leaves the filter: delete or keep.';
comment on column rowferry.entities.within is 'Entity whose rows these follow: only rows that refer to one of them that is kept in sync are kept in sync. Null: each stands for itself.';
comment on column rowferry.entities.within_columns is 'Columns of the table that refer to it.';
comment on column rowferry.entities.within_parent_columns is 'Columns of the parent''s table that they refer to.';
comment on column rowferry.entities.outbound is 'View of the user''s, schema and name, whose columns travel in place of the table''s; null: the table''s.';
comment on column rowferry.entities.inbound is 'Function of the user''s, schema and name, that turns rows received into rows of the table; null: they are such.';
comment on column rowferry.entities.on_apply is 'Function of the user''s, schema and name, that writes the rows received in place of the generated upsert; null: the upsert.';
comment on column rowferry.entities.cycle is 'Entities whose foreign keys form a cycle are written by one statement: the highest of their ids, whose function does it. Null: this one is written by itself.';
comment on column rowferry.entities.trigger_rule is 'Whether the users'' triggers run for rows of the peer: guard (those that are ENABLE ALWAYS) or fire (all).';
comment on column rowferry.entities.attached_at is 'When it was attached.';
comment on column rowferry.entities.unsettled_since is 'Since resync() either node may have rows that the other one never heard of, or forgot: a row that overwrites another one is noted as a conflict. Null: a backfill of all rows has arrived since, or a comparison found no difference.';
comment on column rowferry.entities.held_attempts is 'How often the entity was held as a whole: its schema differs, its table cannot be read, or it waits for a person; 0 when it is not.';
comment on column rowferry.entities.held_here is 'Whether it is this node that cannot read the table; else the peer cannot take its rows.';
comment on column rowferry.entities.held_until is 'When it is tried again.';
comment on column rowferry.entities.held_sqlstate is 'SQLSTATE of the refusal.';
comment on column rowferry.entities.held_error is 'Message of the refusal.';
comment on column rowferry.entities.held_hint is 'What to do.';
comment on column rowferry.entities.version is 'Drawn from entity_ids by attach() and set_rules(), so that the peer is told at once what they have changed.';

create table rowferry.events (
  id bigint generated always as identity primary key,
  changed_at timestamptz not null,
  entity_id integer not null,
  hops smallint not null default 0,
  event_type "char" not null,
  record_id text collate "C" not null
);
-- By the statistics of an empty queue each index would do for any search, and a plan lives longer than that. So only one of the two fits a search (id + 0), and
-- records, of which many are looked for at once, come first, since before PostgreSQL 17 a planner may leave out such a list where it is not.
create index events_of_record on rowferry.events (rowferry._index_key(record_id), entity_id, (id + 0));
create index events_moved on rowferry.events (id) where event_type = 'w';
create index events_deleted on rowferry.events (entity_id, id) where event_type = 'd' and hops = 0;
alter table rowferry.events set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000);
comment on table rowferry.events is 'Pending changes, append-only: written by triggers in the transaction of the change, removed when the peer has taken them. People read the view sync_events.';
comment on column rowferry.events.id is 'Drawn when the change is made; transactions commit in another order, so nothing is ever removed by number.';
comment on column rowferry.events.changed_at is 'Clock time of the change; compared only in a conflict.';
comment on column rowferry.events.entity_id is 'The entity.';
comment on column rowferry.events.hops is '0: a real change; above: a consequence of applying, and how often it went back and forth.';
comment on column rowferry.events.event_type is 'i insert, u update, d delete, b backfill, a answer to a question, q question, w moved: whether it and the rows that follow it are still kept in sync is to be looked at; what is sent is always the present row.';
comment on column rowferry.events.record_id is 'Key of the record as text; compared byte by byte, whatever the database''s collation.';

create table rowferry.moves (
  id bigint generated always as identity primary key,
  entity_id integer not null,
  parent_record_id text collate "C" not null,
  event_id bigint,
  changed_at timestamptz not null,
  hops smallint not null,
  last_key text collate "C"
);
comment on table rowferry.moves is 'Rows whose many followers (entities.within) get their events in portions, since the row entered or left what is kept in sync.';
comment on column rowferry.moves.id is 'In the order in which they came.';
comment on column rowferry.moves.entity_id is 'Entity of the followers.';
comment on column rowferry.moves.parent_record_id is 'Key of the row that they refer to.';
comment on column rowferry.moves.event_id is 'Event of that row, if it is to go after the last of them; null: it goes before.';
comment on column rowferry.moves.changed_at is 'Stamp of that event, which theirs have too.';
comment on column rowferry.moves.hops is 'Hops of that event.';
comment on column rowferry.moves.last_key is 'Key of the last follower that has its event; null: none has.';

create table rowferry.held_events (
  event_id bigint primary key,
  entity_id integer not null,
  record_id text collate "C" not null,
  attempts integer not null default 0,
  not_before timestamptz,
  sqlstate text not null,
  last_error text not null,
  hint text,
  advised boolean not null default false,
  first_at timestamptz not null,
  last_at timestamptz not null,
  patience integer,
  here boolean not null default false,
  parent_entity_id integer,
  parent_record_id text collate "C",
  holders text[] collate "C"
);
create index held_events_of_record on rowferry.held_events (entity_id, rowferry._index_key(record_id));
create index held_events_due on rowferry.held_events (not_before, (event_id + 0));
create index held_events_alone on rowferry.held_events (not_before) where patience is not null;
create index held_events_of_parent on rowferry.held_events (parent_entity_id, rowferry._index_key(parent_record_id), (event_id + 0)) where parent_record_id is not null;
comment on table rowferry.held_events is 'Events set aside after the peer refused their row, or found it locked (attempts = 0), or because the row is large and travels alone (patience), until not_before; or because the peer lacks the row''s parent, until that has gone.';
comment on column rowferry.held_events.event_id is 'The event; it stays in events.';
comment on column rowferry.held_events.entity_id is 'Its entity.';
comment on column rowferry.held_events.record_id is 'Key of the record as text.';
comment on column rowferry.held_events.attempts is 'How often the row was refused, or could not be sent; 0: it is only locked on the peer, waits to be merged or for its parent, or travels alone.';
comment on column rowferry.held_events.not_before is 'When it is tried again; null: when its parent has gone.';
comment on column rowferry.held_events.sqlstate is 'SQLSTATE of the refusal.';
comment on column rowferry.held_events.last_error is 'Message of the refusal, with its detail.';
comment on column rowferry.held_events.hint is 'What to do.';
comment on column rowferry.held_events.advised is 'Whether hint is the line to type, made by rowferry; else it may be words of a user''s function.';
comment on column rowferry.held_events.first_at is 'First refusal.';
comment on column rowferry.held_events.last_at is 'Last refusal.';
comment on column rowferry.held_events.here is 'Whether it is this node that cannot send the row; else the peer refused it.';
comment on column rowferry.held_events.patience is 'Of a record that travels alone: how many times as long as usual a call with it may take, by its size; null: it travels with others.';
comment on column rowferry.held_events.parent_entity_id is 'Entity of the record that the row refers to and the peer lacks; null: it waits for none.';
comment on column rowferry.held_events.parent_record_id is 'Key of that record as text.';
comment on column rowferry.held_events.holders is 'Records of the entity which held, on the peer, a unique value that the row wants; null: none. What waits of them is sent with it.';

create table rowferry.missing_parents (
  entity_id integer not null,
  record_id text collate "C" not null,
  attempts integer not null default 0,
  not_before timestamptz not null,
  came boolean not null default false,
  deleted boolean not null default false
);
create unique index missing_parents_of_record on rowferry.missing_parents (entity_id, rowferry._index_key(record_id));
comment on table rowferry.missing_parents is 'Records that the peer lacks, and for which rows in held_events wait: they are not sent before it.';
comment on column rowferry.missing_parents.entity_id is 'Entity of the record.';
comment on column rowferry.missing_parents.record_id is 'Key of the record as text.';
comment on column rowferry.missing_parents.attempts is 'How often one of the rows that wait was tried without it: somebody may have made it on the peer.';
comment on column rowferry.missing_parents.not_before is 'When one of them is tried next.';
comment on column rowferry.missing_parents.came is 'Whether the peer has it now, so that the rows follow; the last of them takes this row along.';
comment on column rowferry.missing_parents.deleted is 'Whether the peer lacks it because it was deleted there, and this delete waits there.';

create table rowferry.built_batches (
  peer text not null references rowferry.links,
  tag uuid not null,
  number bigint not null,
  ids int8multirange not null,
  keys integer not null,
  whole boolean not null,
  in_flight boolean not null default true,
  built_at timestamptz not null,
  primary key (peer, tag)
);
comment on table rowferry.built_batches is 'Batches sent and not yet acknowledged, those of earlier couriers included: their tags prove which copy of this node the peer took.';
comment on column rowferry.built_batches.peer is 'To whom.';
comment on column rowferry.built_batches.tag is 'Random tag of this build; another courier may build the same number again.';
comment on column rowferry.built_batches.number is 'Number on the link.';
comment on column rowferry.built_batches.ids is 'The events it held.';
comment on column rowferry.built_batches.keys is 'How many records it held.';
comment on column rowferry.built_batches.whole is 'Whether it held everything that was pending.';
comment on column rowferry.built_batches.in_flight is 'Whether the present exchange still waits for its acknowledgement.';
comment on column rowferry.built_batches.built_at is 'When it was built.';

create table rowferry.taken_batches (
  peer text not null references rowferry.links,
  number bigint not null,
  tag uuid not null,
  ids int8multirange not null,
  refusals jsonb not null,
  conflicts jsonb not null,
  applied_ms integer not null,
  patience integer not null default 1,
  taken_at timestamptz not null,
  primary key (peer, number)
);
alter table rowferry.taken_batches alter column conflicts set storage external;
comment on table rowferry.taken_batches is 'What was taken of each of the peer''s batches, until the peer has said that it knows.';
comment on column rowferry.taken_batches.peer is 'From whom.';
comment on column rowferry.taken_batches.number is 'Number on the link.';
comment on column rowferry.taken_batches.tag is 'Its random tag.';
comment on column rowferry.taken_batches.ids is 'The peer''s events that were taken.';
comment on column rowferry.taken_batches.refusals is 'Records that were refused or found locked, with the error.';
comment on column rowferry.taken_batches.conflicts is 'Conflicts decided while applying it, for the peer''s record of them. Not compressed: it is read once or twice and goes.';
comment on column rowferry.taken_batches.applied_ms is 'Time it took to apply, or would have taken if all rows had been tried, in milliseconds.';
comment on column rowferry.taken_batches.patience is 'How many times as long as usual a call may take that tells the conflicts, or is told: large rows are in them.';
comment on column rowferry.taken_batches.taken_at is 'When.';

create table rowferry.applying (
  transaction_id xid8 not null,
  entity_id integer not null,
  hops smallint not null,
  keys text[],
  primary key (transaction_id, entity_id)
);
comment on table rowferry.applying is 'What the applier is writing, seen only inside its own transaction: proof for the capture functions that these rows came from the peer.';
comment on column rowferry.applying.transaction_id is 'The applier''s transaction.';
comment on column rowferry.applying.entity_id is 'The entity whose rows are written; 0 for the transaction as a whole; -1: by its command numbers _finish() tells whether anything was written.';
comment on column rowferry.applying.hops is 'Hop count that consequences get.';
comment on column rowferry.applying.keys is 'Keys whose capture is omitted; null: nothing but the applier can write these tables now, all is omitted.';

create table rowferry.backfills (
  entity_id integer primary key references rowferry.entities on delete cascade,
  last_key text,
  first_event_id bigint not null default 0,
  last_event_id bigint not null default 0,
  queued bigint not null default 0,
  requested_at timestamptz not null,
  requested_by text not null,
  finished_at timestamptz
);
comment on table rowferry.backfills is 'Existing rows on their way to the peer, a chunk of keys at a time.';
comment on column rowferry.backfills.entity_id is 'The entity.';
comment on column rowferry.backfills.last_key is 'Last key queued; the next chunk begins after it.';
comment on column rowferry.backfills.first_event_id is 'First event of the present chunk.';
comment on column rowferry.backfills.last_event_id is 'Last event of the present chunk; the next one is queued when none of it is pending.';
comment on column rowferry.backfills.queued is 'Rows queued so far.';
comment on column rowferry.backfills.requested_at is 'When it was asked for.';
comment on column rowferry.backfills.requested_by is 'By whom.';
comment on column rowferry.backfills.finished_at is 'When its last row was acknowledged.';

create table rowferry.skips (
  id bigint generated always as identity primary key,
  peer text not null references rowferry.links,
  entity_id integer not null,
  entity text not null,
  record_id text collate "C" not null,
  ids int8multirange not null,
  reason text,
  last_error text,
  requested_at timestamptz not null,
  requested_by text not null,
  may_delete boolean not null default false,
  done_at timestamptz,
  kept boolean not null default false,
  outcome text,
  ended_at timestamptz
);
create index skips_open on rowferry.skips (entity_id, rowferry._index_key(record_id)) where done_at is null;
create index skips_in_force on rowferry.skips (entity_id, rowferry._index_key(record_id), id) where ended_at is null;
create index skips_in_order on rowferry.skips (peer, id) where done_at is null;
comment on table rowferry.skips is 'Log of changes given up by a person: the events became a question, and the peer answers with its own row.';
comment on column rowferry.skips.id is 'Number of the skip.';
comment on column rowferry.skips.peer is 'The peer that did not get the change.';
comment on column rowferry.skips.entity_id is 'Id of the entity at that time.';
comment on column rowferry.skips.entity is 'Name of the entity.';
comment on column rowferry.skips.record_id is 'Key of the record as text.';
comment on column rowferry.skips.ids is 'The events that were given up.';
comment on column rowferry.skips.reason is 'Why, in the words of whoever skipped.';
comment on column rowferry.skips.last_error is 'What the peer had said of it.';
comment on column rowferry.skips.requested_at is 'When.';
comment on column rowferry.skips.requested_by is 'By whom.';
comment on column rowferry.skips.may_delete is 'Whether the row here may be deleted if the peer has none.';
comment on column rowferry.skips.done_at is 'When the events were replaced by the question; null while one of them is in flight.';
comment on column rowferry.skips.kept is 'Whether the peer has no such row, or may have none, and the one here stays: different on purpose until ended_at.';
comment on column rowferry.skips.outcome is 'What came of it; null: not known yet.';
comment on column rowferry.skips.ended_at is 'When the record was equal again, changed again, or was given up again; null: it waits for the answer, or is different on purpose.';

create table rowferry.conflicts (
  id bigint generated always as identity primary key,
  conflict_key uuid not null,
  peer text not null,
  entity text not null,
  record_id text collate "C" not null,
  winner text not null,
  rule text not null,
  winner_row jsonb,
  loser_row jsonb,
  merged_row jsonb,
  winner_changed_at timestamptz not null,
  loser_changed_at timestamptz not null,
  decided_at timestamptz not null,
  decided_by text not null
);
create unique index conflicts_of_record on rowferry.conflicts (entity, rowferry._index_key(record_id), conflict_key);
comment on table rowferry.conflicts is 'Conflicts that were decided, with both rows; each of the two nodes holds every one of them.';
comment on column rowferry.conflicts.id is 'Number on this node.';
comment on column rowferry.conflicts.conflict_key is 'The same on both nodes: a digest of the record, the two rows and the two stamps that were compared.';
comment on column rowferry.conflicts.peer is 'The other node.';
comment on column rowferry.conflicts.entity is 'Entity of the record.';
comment on column rowferry.conflicts.record_id is 'Key of the record as text.';
comment on column rowferry.conflicts.winner is 'Node whose change stayed.';
comment on column rowferry.conflicts.rule is 'Rule that decided.';
comment on column rowferry.conflicts.winner_row is 'Row that stayed, by entity column, each value as its type prints it; null: it was deleted.';
comment on column rowferry.conflicts.loser_row is 'Row that was given up, or went into the merge; null: it was deleted.';
comment on column rowferry.conflicts.merged_row is 'What a merge made of the two; null: there was none, or it deleted the row.';
comment on column rowferry.conflicts.winner_changed_at is 'Stamp of the winning change; -infinity: a consequence, a backfill or an answer.';
comment on column rowferry.conflicts.loser_changed_at is 'Stamp of the other one.';
comment on column rowferry.conflicts.decided_at is 'When it was decided.';
comment on column rowferry.conflicts.decided_by is 'Node that decided first as far as this node knows.';

create type rowferry._section as (
  entity text,
  columns text[],
  keys text[],
  gone text[],
  asked text[],
  event_keys text[],
  event_ids bigint[],
  event_stamps timestamptz[],
  event_hops smallint[],
  column_values text[],
  hops smallint,
  key text[],
  rules text[],
  created boolean,
  types text[]
);
comment on type rowferry._section is 'Rows of one entity inside an envelope: keys of rows that exist with the literal of one array per column in column_values, keys of rows that are gone, keys that are only asked for, the events behind them, how often these rows went back and forth, the columns and types of the key, the rules for conflicts and orphans, whether each of its events is an insert, so that it may be tried as one, and the type of each column on the node that sends.';
