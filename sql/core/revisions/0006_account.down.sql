drop function rowferry._log_batch(text, text, bigint, uuid, bigint, jsonb, integer, integer);
drop function rowferry._effect(rowferry._section[], int8multirange, int8multirange, jsonb);
drop function rowferry._id_count(int8multirange);
drop table rowferry.traffic;
drop table rowferry.batches;
alter table rowferry.taken_batches drop column effect;
