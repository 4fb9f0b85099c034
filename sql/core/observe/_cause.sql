create type rowferry._cause as (
  severity text,
  cause text,
  since timestamptz,
  object text,
  type_next text
);
comment on type rowferry._cause is 'What why_stuck() or one of its parts finds.';
