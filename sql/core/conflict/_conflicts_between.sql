-- No statistics describe the arrays that are joined here: with a nested loop, each key would be compared with each.
create or replace function rowferry._conflicts_between(
  p_entity rowferry.entities,
  p_rule text,
  p_peer text,
  p_records text[],
  p_verdicts text[],
  p_mine_at timestamptz[],
  p_theirs_at timestamptz[],
  p_mine_keys text[],
  p_mine_values text[],
  p_their_keys text[],
  p_their_values text[]
)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
set enable_hashjoin = on
set enable_mergejoin = off
set enable_nestloop = off
set enable_hashagg = on
as $$
  select coalesce(jsonb_agg(jsonb_build_object('entity', p_entity.name, 'rule', p_rule, 'verdict', g.verdict,
    'winner', case when g.verdict = 'theirs' then p_peer else (select n.name from rowferry.node n) end, 'columns', p_entity.columns, 'records', g.records,
    'winner_rows', g.winner_rows, 'loser_rows', g.loser_rows, 'winner_changed_at', g.winner_changed_at, 'loser_changed_at', g.loser_changed_at)), '[]')
  from (
    select c.verdict, array_agg(c.record_id)::text as records,
      array_agg(case when c.verdict = 'theirs' then c.their_row else c.my_row end)::text as winner_rows,
      array_agg(case when c.verdict = 'theirs' then c.my_row else c.their_row end)::text as loser_rows,
      array_agg(date_part('epoch', case when c.verdict = 'theirs' then c.theirs_at else c.mine_at end))::text as winner_changed_at,
      array_agg(date_part('epoch', case when c.verdict = 'theirs' then c.mine_at else c.theirs_at end))::text as loser_changed_at
    from (
      select k.*, m.literal as my_row, t.literal as their_row
      from unnest(p_records, p_verdicts, p_mine_at, p_theirs_at) k (record_id, verdict, mine_at, theirs_at)
      left join rowferry._row_literals(p_mine_keys, p_mine_values) m using (record_id)
      left join rowferry._row_literals(p_their_keys, p_their_values) t using (record_id)
    ) c
    where c.my_row is distinct from c.their_row or p_rule = 'cascade'
    group by c.verdict
  ) g
$$;
comment on function rowferry._conflicts_between(rowferry.entities, text, text, text[], text[], timestamptz[], timestamptz[], text[], text[], text[], text[]) is
  'Conflicts with both rows, as they are kept until the peer knows of them: one json for all of one verdict, in which the records, rows and times are '
  'literals of arrays, so that many conflicts are one json of few values. A row is the literal of an array of its values, in the order of the columns; '
  'null: it is gone. Records whose two rows are equal are left out, except under the rule cascade, where the row may have gone already.';
