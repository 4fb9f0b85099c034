create type rowferry._answer as (
  status text,
  envelope bytea,
  applied integer,
  refused integer,
  conflicts integer,
  retired integer,
  sent integer,
  pending bigint,
  held bigint,
  next_id bigint,
  last_id bigint,
  backfilling bigint,
  patience integer,
  token text,
  version integer,
  reason text,
  progress jsonb,
  outbox text
);

comment on type rowferry._answer is 'What process_batch() answers; docs/design.md explains each column.';
