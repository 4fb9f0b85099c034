create type rowferry._not_taken as (
  entity text,
  records text[],
  why text,
  refusal jsonb
);

comment on type rowferry._not_taken is
  'Records of a batch that were not taken, all of them for the same reason (why). "refused": refusal has what the sender is told, as _explain_refusal() '
  'makes it, and more; with "give_up" the orphan rule has decided. "locked": a user holds the lock of the row. "merging": this node waits for the row that '
  'the other node merges. "entity": the entity as a whole is refused. "untried": there was no time. "undecided": there were too many conflicts for one call. '
  'The sender hears of the first three record by record.';
