create type rowferry._need as (
  entity text,
  record_id text,
  needed_entity text,
  needed_record_id text,
  state text,
  constraint_name text,
  released_by text
);

comment on type rowferry._need is
  'One record of a batch cannot be written before another one. state is the SQLSTATE with which it fails: with 23505 it needs a unique value that the other '
  'record has now (constraint_name); with 23503 the other record is its parent, or a child of the record that is to be deleted. released_by is null if a '
  'record must be deleted before the value becomes free; otherwise it is the column by which the other record gives the value up first (_gives_up), or an '
  'empty text if the constraint is checked at the end of the batch.';
