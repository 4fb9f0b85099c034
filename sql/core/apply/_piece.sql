create type rowferry._piece as (
  section rowferry._section,
  depth integer,
  state text,
  good integer,
  waits boolean
);

comment on type rowferry._piece is
  'A section in the queue of _apply_piecewise(). depth says how often it has been taken apart. state is the SQLSTATE with which it failed as a whole; it is '
  'then to be taken apart. If good is set, it is written record by record, and this many of its first records are known to work. waits says that its records '
  'were refused because they need others, and are tried again once nothing else is in the queue.';
