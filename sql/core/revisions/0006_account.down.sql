drop function rowferry.measure_capture_cost(text, integer);
drop function rowferry.audit(text);
drop trigger rowferry_count_truncated on rowferry.events;
drop trigger rowferry_count_left on rowferry.events;
drop function rowferry._count_left();
drop function rowferry._compare_account(rowferry.links, jsonb, bigint, bigint);
drop function rowferry._note_problem(text, text, text);
drop function rowferry._log_batch(text, text, bigint, uuid, bigint, jsonb, integer, integer);
drop function rowferry._effect(rowferry._section[], int8multirange, int8multirange, jsonb);
drop function rowferry._id_count(int8multirange);
drop function rowferry._digest(bigint, bigint, uuid, int8multirange);
drop table rowferry.capture_cost;
drop table rowferry.audit_problems;
drop table rowferry.left_events;
drop table rowferry.traffic;
drop table rowferry.batches;
alter table rowferry.taken_batches drop column effect;
alter table rowferry.links
  drop column received_digest,
  drop column received_events,
  drop column acked_digest,
  drop column acked_events,
  drop column peer_digest,
  drop column peer_events,
  drop column peer_problems;
