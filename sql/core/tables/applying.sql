create table rowferry.applying (
  transaction_id xid8 not null,
  entity_id integer not null,
  hops smallint not null,
  keys text[],
  primary key (transaction_id, entity_id)
);
comment on table rowferry.applying is
  'What the applier is writing just now, which only its own transaction sees: it proves to the capture functions that the peer sent these rows.';
comment on column rowferry.applying.transaction_id is 'Transaction of the applier.';
comment on column rowferry.applying.entity_id is
  'Entity whose rows are written; 0: the transaction as a whole; -1: the row by whose command numbers _finish() tells whether anything was written.';
comment on column rowferry.applying.hops is 'Hop count of the events that are made as consequences of applying.';
comment on column rowferry.applying.keys is
  'Records that get no event; of the transaction as a whole, the peer that sent them; null: only the applier can write the table now, so no record gets one.';
