-- It is made part of the query that calls it, so it has no settings, and each name is qualified.
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
    -- A consequence, a backfill or an answer loses to a real change, whatever the rule.
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
  'Who wins a conflict: mine, theirs, merge (this node merges both rows), or wait (the peer does). p_mine, p_theirs: the newest stamp of what each node '
  'changed; -infinity: nothing but a consequence, a backfill or an answer. Both nodes come to the same end.';
