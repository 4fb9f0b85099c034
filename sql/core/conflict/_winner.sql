-- Who wins a conflict. A record is in conflict if both nodes changed it and neither change was made with knowledge of the other (R6 and R7 in
-- docs/guarantees.md). Inserts, updates and deletes count alike. Each node has a set of such changes: this node's events of the record that the peer has not
-- acknowledged, and the peer's events of the record that this node has not taken before. Of each set only the newest stamp is compared: the time of a change by
-- a user, by the clock of the node where it was made (check() warns of clocks that differ), or -infinity for a consequence of applying, a backfill or an answer
-- (_stamp.sql). So both nodes compare the same two stamps and get the same result:
-- - A change by a user wins against a consequence, a backfill or an answer, whatever the rule is.
-- - Otherwise the entity's rule decides. newest: the later stamp wins; at equal stamps the node whose name sorts last wins, byte by byte. node:crm: crm wins,
--   whatever the time. merge:schema.function: one node, the arbiter, whose name sorts first, lets the user's function make one row of both (merge; null stands
--   for a row that is deleted, as an argument and as the result), and the other node takes nothing of the record before this row arrives (wait).
-- If both nodes' rows are equal when they are compared, nobody loses and nothing is logged. Otherwise both rows are kept in rowferry.conflicts on both nodes.
-- Both nodes must have the same rule; else the peer's rows are refused as a whole (_why_not_understood.sql). _decide.sql does what follows from the winner. Not
-- decided here, but logged in conflicts too, are rows that a cascade took (rule cascade, _lost_in_cascade.sql), orphans (drop and revive, _decide_orphan.sql),
-- and rows that were overwritten after resync() or while a skip kept them (_overwritten.sql: the peer wins, and the entity's rule is noted). The planner
-- inlines this function into the query that calls it, so it has no settings, and each name is qualified.
create or replace function rowferry._winner(
  p_rule text,
  p_node text,
  p_peer text,
  p_mine timestamptz,
  p_theirs timestamptz
)
returns text
language sql
immutable
parallel safe
as $$
  select case
    -- A consequence, a backfill or an answer loses to a change by a user, whatever the rule.
    when (p_mine operator(pg_catalog.=) '-infinity') operator(pg_catalog.<>) (p_theirs operator(pg_catalog.=) '-infinity') then
      case when p_mine operator(pg_catalog.>) p_theirs then 'mine' else 'theirs' end
    when pg_catalog.starts_with(p_rule, 'node:') then
      case when p_rule operator(pg_catalog.=) ('node:' operator(pg_catalog.||) p_node) then 'mine' else 'theirs' end
    when pg_catalog.starts_with(p_rule, 'merge:') then
      case when p_node collate "C" operator(pg_catalog.<) p_peer then 'merge' else 'wait' end
    when (p_mine, p_node collate "C") operator(pg_catalog.>) (p_theirs, p_peer collate "C") then 'mine'
    else 'theirs'
  end
$$;
comment on function rowferry._winner(text, text, text, timestamptz, timestamptz) is
  'Who wins a conflict under a rule: mine (this node), theirs (the peer), merge (this node merges both rows) or wait (the peer merges them). p_mine and '
  'p_theirs are the newest stamps of those changes of each node that the other node did not know of; -infinity stands for nothing but consequences, backfills '
  'or answers. Both nodes get the same result.';
