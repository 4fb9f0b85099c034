create table rowferry.staggered_sequences (
  sequence regclass primary key,
  block bigint not null
);
comment on table rowferry.staggered_sequences is 'Sequences that draw only every second value, as stagger_sequence() has told them.';
comment on column rowferry.staggered_sequences.sequence is 'The sequence.';
comment on column rowferry.staggered_sequences.block is 'How many ids one value of it stands for: what it counted by before.';
