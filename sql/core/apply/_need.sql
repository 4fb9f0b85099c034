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
  'That one record of a batch cannot be written before another one. state is the SQLSTATE that it fails with: 23505, it needs a unique value that the '
  'other record holds now (constraint_name); 23503, the other record is its parent, or a child of the record that is to be deleted. released_by: null, a '
  'record that is to be deleted has to go first for the value to become free; otherwise the column in which it gives the value up before (_gives_up), or '
  'an empty text where the constraint is checked at the end of the batch.';
