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
comment on table rowferry.held_events is
  'Events that are set aside. They wait until not_before if the peer refused their row or found it locked (attempts = 0), or if the row is large and travels '
  'alone (patience). They wait until the parent of the row has been taken if the peer lacks it.';
comment on column rowferry.held_events.event_id is 'The event, which stays in events.';
comment on column rowferry.held_events.entity_id is 'Its entity.';
comment on column rowferry.held_events.record_id is 'Key of the record as text.';
comment on column rowferry.held_events.attempts is
  'How often the row was refused or could not be sent; 0: it is only locked on the peer, waits to be merged or for its parent, or travels alone.';
comment on column rowferry.held_events.not_before is 'When it is tried again; null: once the peer has taken its parent.';
comment on column rowferry.held_events.sqlstate is 'SQLSTATE of the refusal.';
comment on column rowferry.held_events.last_error is 'Message of the refusal, with its detail.';
comment on column rowferry.held_events.hint is 'What to do.';
comment on column rowferry.held_events.advised is 'True if hint is a line to type that rowferry made; if false, it may be in the words of a user''s function.';
comment on column rowferry.held_events.first_at is 'First refusal.';
comment on column rowferry.held_events.last_at is 'Last refusal.';
comment on column rowferry.held_events.patience is
  'For a record that travels alone: how many times as long as usual a call with it may take, by its size; null: it travels with others.';
comment on column rowferry.held_events.here is 'True if this node cannot send the row, false if the peer refused it.';
comment on column rowferry.held_events.parent_entity_id is 'Entity of the record that the row refers to and that the peer lacks; null: it waits for none.';
comment on column rowferry.held_events.parent_record_id is 'Key of that record as text.';
comment on column rowferry.held_events.holders is
  'Records of the entity that held, on the peer, a unique value that the row needs; null: none. Those of them that wait are sent with it.';

create index held_events_of_record on rowferry.held_events (entity_id, rowferry._index_key(record_id));
create index held_events_due on rowferry.held_events (not_before, (event_id + 0));
create index held_events_alone on rowferry.held_events (not_before) where patience is not null;
create index held_events_of_parent on rowferry.held_events (parent_entity_id, rowferry._index_key(parent_record_id), (event_id + 0))
  where parent_record_id is not null;

create trigger stir after insert or update on rowferry.held_events execute function rowferry._stir();
alter table rowferry.held_events enable always trigger stir;
comment on trigger stir on rowferry.held_events is 'Tells the courier to look again.';
