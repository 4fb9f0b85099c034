-- Which stored conflicts of an entity another rule would have decided otherwise: select * from rowferry.simulate_policy('accounts', 'node:crm') where differs.
-- Orphans and cascades are asked no conflict rule, and a consequence, a backfill or an answer loses to a real change under any.
create or replace function rowferry.simulate_policy(
  p_entity text,
  p_rule text,
  p_since timestamptz default '-infinity'
)
returns table (
  id bigint,
  record_id text,
  decided_at timestamptz,
  winner text,
  rule text,
  would_win text,
  differs boolean
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_entity rowferry.entities := rowferry._find_entity(p_entity);
  v_node text := (select n.name from rowferry.node n);
begin
  v_entity.conflict_rule := p_rule;
  perform rowferry._check_rules(v_entity);
  if p_rule like 'merge:%' then
    raise exception using errcode = 'RF013', message = 'a merge cannot be simulated', detail = format('%s.', p_rule),
      hint = format('Try it on the two rows: select m.* from rowferry.conflicts c cross join lateral %s(jsonb_populate_record(null::%s, c.winner_row), jsonb_populate_record(null::%2$s, c.loser_row)) m where c.entity = %L;',
        substring(p_rule from 7), v_entity.relation, v_entity.name);
  end if;
  return query
  select c.id, c.record_id, c.decided_at, c.winner, c.rule, w.would_win,
    coalesce(case when c.rule like 'merge:%' then c.merged_row else c.winner_row end, 'null')
      <> coalesce(case when w.would_win = c.winner then c.winner_row else c.loser_row end, 'null')
  from rowferry.conflicts c
  cross join lateral (select case c.winner when c.peer then v_node else c.peer end as loser) l
  cross join lateral (
    select case
      when c.rule in ('cascade', 'drop', 'revive') or c.winner_changed_at <> '-infinity' and c.loser_changed_at = '-infinity' then c.winner
      when c.winner_changed_at = '-infinity' and c.loser_changed_at <> '-infinity' then l.loser
      when p_rule = 'newest' then case when (c.winner_changed_at, c.winner collate "C") > (c.loser_changed_at, l.loser collate "C") then c.winner else l.loser end
      else substring(p_rule from 6)
    end as would_win
  ) w
  where c.entity = v_entity.name and c.decided_at >= p_since
  order by c.id;
end
$$;
comment on function rowferry.simulate_policy(text, text, timestamptz) is 'Which stored conflicts another rule would have decided otherwise.';
revoke all on function rowferry.simulate_policy(text, text, timestamptz) from public;
