create or replace view rowferry.compare_report as
select c.id as run_id, c.entity, c.state, k.kind, k.records, s.sample
from rowferry.comparisons c
cross join lateral (values (1, 'same', c.same), (2, 'different', c.different), (3, 'only_here', c.only_here), (4, 'only_there', c.only_there),
  (5, 'pending', c.pending), (6, 'on_purpose', c.on_purpose)) k (place, kind, records)
cross join lateral (
  select array_agg(d.record_id) as sample
  from (
    select d.record_id
    from rowferry.compared_records d
    where d.run_id = c.id
      and case k.kind when 'on_purpose' then d.kind <> 'pending' and d.note is not null and k.records > 0 else d.kind = k.kind end
    order by d.record_key limit 5) d
) s
where k.kind <> 'on_purpose' or k.records > 0
order by c.id desc, k.place;
comment on view rowferry.compare_report is 'Comparisons as reports, newest first: one row for each kind of finding.';
comment on column rowferry.compare_report.run_id is 'Number of the run.';
comment on column rowferry.compare_report.entity is 'What was compared.';
comment on column rowferry.compare_report.state is 'State of the run.';
comment on column rowferry.compare_report.kind is
  'same, different, only_here, only_there, pending (not judged), on_purpose (of those that differ or are on one node only: left so by a skip).';
comment on column rowferry.compare_report.records is 'How many records.';
comment on column rowferry.compare_report.sample is 'Keys of some of them; all that are listed are in differences.';
