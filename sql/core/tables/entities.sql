create sequence rowferry.entity_ids as integer;
comment on sequence rowferry.entity_ids is
  'The last id or version that an entity was given; no id is given twice, whatever is left of an entity that was detached.';

create table rowferry.entities (
  id integer primary key,
  name text not null unique,
  peer text not null references rowferry.links,
  relation regclass not null,
  relation_name text not null,
  relation_oid oid not null,
  trigger_suffix text not null default '',
  key_columns text[] not null,
  key_types text[] not null,
  columns text[] not null,
  local_columns text[] not null,
  column_types text[] not null,
  column_numbers smallint[],
  column_digest bigint,
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
  version integer not null default 0,
  paused_at timestamptz,
  paused_by text,
  truncate_rule text not null default 'refuse',
  breaker_share real default 0.5,
  breaker_rows integer not null default 100,
  approved_to bigint not null default 0,
  unique (relation, peer),
  unique (relation, trigger_suffix)
);
comment on table rowferry.entities is 'Tables kept in sync: one row per attach().';
comment on column rowferry.entities.id is 'Number of the entity, by which its events name it.';
comment on column rowferry.entities.name is 'Name that both nodes use for this kind of record.';
comment on column rowferry.entities.peer is 'The node with which it is kept in sync.';
comment on column rowferry.entities.relation is 'The table on this node. A table that is kept in sync with several peers has an entity for each.';
comment on column rowferry.entities.relation_name is
  'Name of the table, with its schema, when attach() last found it; its functions use this name. If the name means another table now, or none, the entity '
  'is held.';
comment on column rowferry.entities.relation_oid is 'Oid by which its functions know the table; in a restored dump the table has another one.';
comment on column rowferry.entities.trigger_suffix is
  'What the names of its capture triggers end with: nothing for the first entity of a table, @ and the peer for each further one.';
comment on column rowferry.entities.key_columns is 'Columns that make the key, by their entity names, sorted; record_id holds them in this order.';
comment on column rowferry.entities.key_types is
  'How the text of each key column is spelled: a type, or number or text for types that are spelled alike. Both nodes must agree.';
comment on column rowferry.entities.columns is 'Columns that travel, by their entity names, sorted.';
comment on column rowferry.entities.local_columns is 'Column of the table, or of the outbound view, behind each of columns.';
comment on column rowferry.entities.column_types is
  'Type of each of columns for which the functions were made, as both nodes spell it. If a column has another type now, the entity is held.';
comment on column rowferry.entities.column_numbers is
  'Number of each of columns in the table (pg_attribute.attnum), which tells a column from one that took its name after it was dropped; null: a view says '
  'what travels.';
comment on column rowferry.entities.column_digest is
  'Digest of all columns of the table (number, name, type) as of attach(): as long as it is the same, no column has changed. Null if a column that travels has '
  'a type that is not PostgreSQL''s own, because such a type may change without its column, or if a view says what travels.';
comment on column rowferry.entities.columns_given is
  'Whether p_columns named the columns. If so, they stay until p_columns names others. If not, attach() takes all columns that the table has when it is '
  'called again.';
comment on column rowferry.entities.conflict_rule is 'What decides a conflict: newest, node:name or merge:schema.function. Both nodes must agree.';
comment on column rowferry.entities.orphan_rule is
  'What happens to a row whose parent the other node deleted at the same time: hold, drop (the row is deleted) or revive (the parent is written again). Both '
  'nodes must have the same rule.';
comment on column rowferry.entities.direction is 'Which way rows go: both, send (this node''s rows only) or receive (the peer''s rows only).';
comment on column rowferry.entities.filter is 'Condition on the table''s columns, as SQL; only rows for which it is true are kept in sync. Null: all.';
comment on column rowferry.entities.filter_columns is 'Columns of the table that the filter uses.';
comment on column rowferry.entities.filter_types is
  'Type of PostgreSQL''s own in which the filter sees each of filter_columns. An enum is seen as text and stands here as enum, with those of its values '
  'that the filter names.';
comment on column rowferry.entities.filter_left is 'What happens to the row on the peer when the row here leaves the filter: delete or keep.';
comment on column rowferry.entities.within is
  'Entity that the rows follow: only rows that refer to one of its rows that is kept in sync are kept in sync. Null: the rows follow none.';
comment on column rowferry.entities.within_columns is 'Columns of the table that refer to the parent.';
comment on column rowferry.entities.within_parent_columns is 'Columns of the parent''s table to which they refer.';
comment on column rowferry.entities.outbound is
  'The user''s view, as schema and name, whose columns travel in place of the table''s; null: those of the table travel.';
comment on column rowferry.entities.inbound is
  'The user''s function, as schema and name, that turns received rows into rows of the table; null: none is needed.';
comment on column rowferry.entities.on_apply is
  'The user''s function, as schema and name, that writes the received rows in place of the generated upsert; null: the upsert does.';
comment on column rowferry.entities.cycle is
  'For entities whose foreign keys form a cycle, which one statement writes: the highest of their ids, whose function has the statement. Null: the entity is '
  'written in a statement of its own.';
comment on column rowferry.entities.trigger_rule is
  'Which of the users'' triggers run for rows of the peer: guard (those that are ENABLE ALWAYS) or fire (all).';
comment on column rowferry.entities.attached_at is 'When it was attached.';
comment on column rowferry.entities.unsettled_since is
  'When resync() found that either node may have rows that the other one never heard of or forgot. While it is set, each row that overwrites another one is '
  'noted as a conflict. Null: all rows have arrived by a backfill since, or a comparison found no difference.';
comment on column rowferry.entities.held_attempts is
  'How often the entity was held as a whole, because its schema differs, its table cannot be read or it waits for a person; 0: it is not held.';
comment on column rowferry.entities.held_here is 'True if this node cannot read the table, false if the peer cannot take its rows.';
comment on column rowferry.entities.held_until is 'When the entity is tried again; infinity: once a person has done what held_hint says.';
comment on column rowferry.entities.held_sqlstate is 'SQLSTATE of the refusal.';
comment on column rowferry.entities.held_error is 'Message of the refusal.';
comment on column rowferry.entities.held_hint is 'What to do.';
comment on column rowferry.entities.version is
  'Number that attach() and set_rules() draw from entity_ids, so that the peer is told at once what they have changed.';
comment on column rowferry.entities.paused_at is 'Since when pause() holds it; null: it is not paused.';
comment on column rowferry.entities.paused_by is 'Who paused it.';
comment on column rowferry.entities.truncate_rule is 'What TRUNCATE of the table does: refuse, or propagate (its rows are deleted on the peer, once approved).';
comment on column rowferry.entities.breaker_share is 'If more than this share of the rows is deleted, the deletes wait for approve(); null: no delete waits.';
comment on column rowferry.entities.breaker_rows is 'The breaker is off while there are fewer rows than this.';
comment on column rowferry.entities.approved_to is 'Deletes up to this event have been approved.';

create trigger stir after insert or update or delete on rowferry.entities execute function rowferry._stir();
alter table rowferry.entities enable always trigger stir;
comment on trigger stir on rowferry.entities is 'Tells the courier to look again.';
