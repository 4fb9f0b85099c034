create sequence rowferry.stirs;
comment on sequence rowferry.stirs is 'Moves whenever something begins that may give the courier something to do, other than an event.';

create table rowferry.links (
  peer text primary key,
  spoke text,
  slot text,
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
  rest_event_id bigint,
  rest_stir bigint,
  horizon_id bigint,
  horizon_xid xid8,
  identity jsonb,
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
  told_settled text[] not null default '{}',
  moved_to bigint,
  told_paused text[] not null default '{}',
  facts_sent_at timestamptz,
  facts_to text,
  facts_entities text,
  facts_schema bigint,
  facts_looked_at timestamptz,
  facts_apart boolean not null default false,
  backlog_limit bigint,
  backlog_looked_at timestamptz,
  backlog_since timestamptz,
  cut_at timestamptz
);
comment on table rowferry.links is 'What this node keeps about each peer: the numbers of the exchange, its token, whether it is paused or stopped.';
comment on column rowferry.links.peer is 'Name of the other node, or of an outbox.';
comment on column rowferry.links.spoke is
  'Of a link that the section [links] names: the node that it leads to from the hub, which is part of the names that attach() gives to entities of this link, '
  'on both nodes. Null: there are only two nodes.';
comment on column rowferry.links.slot is
  'Of an outbox, a peer that is no database: the replication slot through which it is read. Null: the peer is a node.';
comment on column rowferry.links.generation is 'Generation of the link; resync() starts a new one, in which all numbers begin again.';
comment on column rowferry.links.peer_generation is 'Highest generation in which the peer has spoken; a lower one later means that the peer was set back.';
comment on column rowferry.links.token_number is 'Number of the courier whose envelopes are accepted; only a greater token replaces it.';
comment on column rowferry.links.token_random is 'Random part of the token, which orders couriers that chose the same number.';
comment on column rowferry.links.ready is 'Whether this exchange has learned what the peer already holds; nothing is built before.';
comment on column rowferry.links.built is 'Highest batch number ever built in this generation; never rewound.';
comment on column rowferry.links.top is 'Last batch number built in this exchange.';
comment on column rowferry.links.acked is 'Number of the last batch of this node that the peer is known to have applied.';
comment on column rowferry.links.acked_tag is 'Random tag of that batch.';
comment on column rowferry.links.received is 'Number of the last batch of the peer that was applied here.';
comment on column rowferry.links.received_tag is 'Random tag of that batch.';
comment on column rowferry.links.batch_limit is 'Events per batch; adapts to the time the peer needs to apply them.';
comment on column rowferry.links.growth is 'Factor on batch_limit while the peer refuses rows whose companions were not in the batch.';
comment on column rowferry.links.first_id is
  'No event below this id waits for its first batch. The search for the next batch begins here, past events that were removed but that no vacuum can clear '
  'away yet.';
comment on column rowferry.links.horizon_id is 'Last event id given out when horizon_xid was noted.';
comment on column rowferry.links.horizon_xid is
  'Once every transaction before this one has ended, no event up to horizon_id can still appear, and first_id moves on.';
comment on column rowferry.links.identity is 'System identifier, database oid and timeline of this node when the present courier opened its exchange.';
comment on column rowferry.links.rest_event_id is
  'Last event id given out when a call found nothing to do and no transaction at work. While neither it nor rest_stir has moved, a call is idle at once.';
comment on column rowferry.links.rest_stir is 'Value of the sequence stirs at that time.';
comment on column rowferry.links.peer_identity is 'System identifier, database oid and timeline that the peer first showed.';
comment on column rowferry.links.paused_at is 'Since when pause() holds the link; null: it is not paused.';
comment on column rowferry.links.paused_by is 'Who paused it.';
comment on column rowferry.links.stopped_at is 'Since when the memory check holds the link; resync() ends that.';
comment on column rowferry.links.stopped_reason is 'What the memory check found.';
comment on column rowferry.links.opened_at is 'When the present courier opened its exchange.';
comment on column rowferry.links.last_exchange_at is 'When a batch was last applied here or acknowledged by the peer.';
comment on column rowferry.links.courier is 'Host and process id of the courier that opened the exchange.';
comment on column rowferry.links.courier_error is 'Last error that the courier reported about the peer; null once an exchange has moved.';
comment on column rowferry.links.warning is 'A finding that does not stop the link, such as a failover of the peer.';
comment on column rowferry.links.clock_difference is
  'Clock of the peer minus that of this node when the peer last told its time, including the time that the envelope took.';
comment on column rowferry.links.unlocked is
  'How many calls went on without the advisory lock of the link because a stranger held it; another call that ran at the same time finds the number changed '
  'and is rolled back.';
comment on column rowferry.links.users_timeout is
  'The shortest deadlock_timeout that a role or a database has of its own, as of the opening: a user who waits for longer looks for deadlocks. Null: none '
  'has one.';
comment on column rowferry.links.peer_unsettled is
  'Entities for which the peer, as it last said, notes overwritten rows as conflicts (see entities.unsettled_since).';
comment on column rowferry.links.told_settled is
  'Those of peer_unsettled that the last envelope named as settled; until the peer knows, each call has news for it.';
comment on column rowferry.links.moved_to is
  'Last event id given out when rows that follow others were last queued; run --once goes on until their events have been sent and acknowledged.';
comment on column rowferry.links.told_paused is
  'Entities paused here that the last envelope named; once an entity is no longer named, the peer sends it again.';
comment on column rowferry.links.facts_sent_at is
  'When this node last told the peer the facts that check() compares there; they are told again at once when they have changed, and after 5 minutes with '
  'whatever travels.';
comment on column rowferry.links.facts_to is 'Last entity whose facts were told, if there was no time for all; the next envelope goes on.';
comment on column rowferry.links.facts_entities is 'Number of entities when facts were last told, and the highest version among them.';
comment on column rowferry.links.facts_schema is 'Digest of the schema of their tables at that time.';
comment on column rowferry.links.backlog_limit is
  'How many bytes of events may wait while the peer is away, as set_backlog_limit() has said; beyond that the link is cut. Null: any amount.';
comment on column rowferry.links.backlog_looked_at is 'When a call last looked whether the limit is passed.';
comment on column rowferry.links.backlog_since is
  'When a call first saw that the limit is passed, since when nothing has moved. Null: at the last look it was not passed.';
comment on column rowferry.links.cut_at is
  'Since when the link is cut: it is stopped, and its events are removed as they come. resync() ends that. Null: it is not cut.';
comment on column rowferry.links.facts_looked_at is 'When the schema was last looked at for changes.';
comment on column rowferry.links.facts_apart is
  'Whether the facts said that a table was not the one that was attached: until the peer knows better, each call looks.';
