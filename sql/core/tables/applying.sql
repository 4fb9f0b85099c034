create table rowferry.applying (
  transaction_id xid8 not null,
  entity_id integer not null,
  hops smallint not null,
  keys text[],
  primary key (transaction_id, entity_id)
);
comment on table rowferry.applying is 'What the applier is writing, seen only inside its own transaction: proof for the capture functions that these rows came from the peer.';
comment on column rowferry.applying.transaction_id is 'The applier''s transaction.';
comment on column rowferry.applying.entity_id is 'The entity whose rows are written; 0 for the transaction as a whole; -1: by its command numbers _finish() tells whether anything was written.';
comment on column rowferry.applying.hops is 'Hop count that consequences get.';
comment on column rowferry.applying.keys is 'Keys whose capture is omitted; null: nothing but the applier can write these tables now, all is omitted.';
