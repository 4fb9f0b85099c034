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
comment on table rowferry.conflicts is 'Conflicts that were decided, with both rows. Each node holds all of them.';
comment on column rowferry.conflicts.id is 'Number on this node.';
comment on column rowferry.conflicts.conflict_key is 'The same on both nodes: digest of the record, of its two rows and of the two stamps that were compared.';
comment on column rowferry.conflicts.peer is 'The other node.';
comment on column rowferry.conflicts.entity is 'Entity of the record.';
comment on column rowferry.conflicts.record_id is 'Key of the record as text.';
comment on column rowferry.conflicts.winner is 'Node whose change stayed; under a merge it is the arbiter, which made the row that stayed.';
comment on column rowferry.conflicts.rule is 'Rule that decided.';
comment on column rowferry.conflicts.winner_row is
  'Row that stayed, by entity column, each value as its type prints it; under a merge the arbiter''s row before the merge; null: it was deleted.';
comment on column rowferry.conflicts.loser_row is 'Row that was given up, or that went into the merge; null: it was deleted.';
comment on column rowferry.conflicts.merged_row is 'What a merge made of the two rows; null: there was no merge, or it deleted the row.';
comment on column rowferry.conflicts.winner_changed_at is 'Stamp of the winning change; -infinity: a consequence, a backfill or an answer.';
comment on column rowferry.conflicts.loser_changed_at is 'Stamp of the other change.';
comment on column rowferry.conflicts.decided_at is 'When it was decided.';
comment on column rowferry.conflicts.decided_by is 'Node that decided first, as far as this node knows.';

create unique index conflicts_of_record on rowferry.conflicts (entity, rowferry._index_key(record_id), conflict_key);
