create table rowferry.compared_records (
  run_id bigint not null references rowferry.comparisons on delete cascade,
  record_id text collate "C" not null,
  record_key text collate "C" generated always as (rowferry._index_key(record_id)) stored,
  kind text not null,
  hash_here bigint,
  hash_there bigint,
  note text,
  chosen text,
  found_at timestamptz not null,
  primary key (run_id, record_key)
);
comment on table rowferry.compared_records is 'Records that a comparison found to differ, or has not judged yet. People read the view differences.';
comment on column rowferry.compared_records.run_id is 'The comparison.';
comment on column rowferry.compared_records.record_id is 'Key of the record as text.';
comment on column rowferry.compared_records.record_key is
  '_index_key() of record_id, which is short enough for an index. A run goes through its list in this order.';
comment on column rowferry.compared_records.kind is 'different, only_here, only_there or pending.';
comment on column rowferry.compared_records.hash_here is 'Hash of this node''s row.';
comment on column rowferry.compared_records.hash_there is 'Hash of the other node''s row.';
comment on column rowferry.compared_records.note is 'Why the record is not judged, where that will not change; or that a skip left it different on purpose.';
comment on column rowferry.compared_records.chosen is 'Whose row is to stay, once its event is queued.';
comment on column rowferry.compared_records.found_at is 'When it was found.';

create index compared_records_of_kind on rowferry.compared_records (run_id, kind, record_key);
