create or replace view rowferry.differences as
select d.run_id, c.entity, d.record_id, d.kind, d.hash_here, d.hash_there, d.note, d.chosen, d.found_at
from rowferry.compared_records d
join rowferry.comparisons c on c.id = d.run_id;
comment on view rowferry.differences is
  'What comparisons found, record by record: of a comparison at most 100,000, of a first contact 10,000,000; the counts in compare_runs go on.';
comment on column rowferry.differences.run_id is 'Number of the run.';
comment on column rowferry.differences.entity is 'What was compared.';
comment on column rowferry.differences.record_id is 'Key of the record as text.';
comment on column rowferry.differences.kind is 'different, only_here, only_there, or pending: not judged.';
comment on column rowferry.differences.hash_here is 'Hash of this node''s row, of a record whose rows differ.';
comment on column rowferry.differences.hash_there is 'Hash of the other node''s row.';
comment on column rowferry.differences.note is 'Why it could not be judged, where that will not change; or that a skip left it so, and on which node.';
comment on column rowferry.differences.chosen is 'Whose row was chosen to stay, here or there, once its event is queued.';
comment on column rowferry.differences.found_at is 'When it was found.';
