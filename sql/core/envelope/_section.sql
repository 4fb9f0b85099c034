create type rowferry._section as (
  entity text,
  columns text[],
  keys text[],
  gone text[],
  asked text[],
  event_keys text[],
  event_ids bigint[],
  event_stamps timestamptz[],
  event_hops smallint[],
  column_values text[],
  hops smallint,
  key text[],
  rules text[],
  created boolean,
  types text[]
);

comment on type rowferry._section is
  'Rows of one entity inside an envelope: keys of rows that exist with the literal of one array per column in column_values, keys of rows that are gone, '
  'keys that are only asked for, the events behind them, how often these rows went back and forth, the columns and types of the key, the rules for '
  'conflicts and orphans, whether each of its events is an insert, so that it may be tried as one, and the type of each column on the node that sends.';
