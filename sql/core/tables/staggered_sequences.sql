create table rowferry.staggered_sequences (
  sequence regclass primary key,
  block bigint not null
);
comment on table rowferry.staggered_sequences is 'Sequences that stagger_sequence() has made draw every second value.';
comment on column rowferry.staggered_sequences.sequence is 'The sequence.';
comment on column rowferry.staggered_sequences.block is 'For how many ids one of its values stands: what it counted by before.';
