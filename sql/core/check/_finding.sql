create type rowferry._finding as (
  severity text,
  object text,
  problem text,
  fix text
);
comment on type rowferry._finding is 'What check() or one of its parts finds.';
