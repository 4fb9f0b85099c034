create or replace function rowferry._check_staggering(
  p_peer text,
  p_mine jsonb,
  p_theirs jsonb
)
returns setof rowferry._finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with sequences as (
    -- least, most: the values that a sequence can still draw. block: for how many ids one of them stands.
    select f.side, e.key as entity, c.key as column_name, c.value ->> 'local' as local, c.value -> 'sequence' as facts, q.name, q.next, q.increment, q.block,
      case when q.cycle or q.increment < 0 then q.least else q.next end as least, case when q.cycle or q.increment > 0 then q.most else q.next end as most
    from (values ('here', p_mine), ('there', p_theirs)) f (side, facts)
    cross join lateral jsonb_each(f.facts -> 'entities') e
    cross join lateral jsonb_each(e.value -> 'columns') c
    cross join lateral jsonb_to_record(c.value -> 'sequence')
      q (name text, next numeric, increment numeric, block numeric, least numeric, most numeric, cycle boolean)
    where c.value ? 'sequence' and e.value ->> 'direction' = 'both' and not e.value ? 'apart'
  )
  select 'warning', m.name,
    format('%s on %s can draw the same values for %s.%s: rows with one key would be taken for one record', t.name, p_peer, n.relation, m.local),
    coalesce('It cannot be staggered, because ' || coalesce(rowferry._stagger_problem(m.facts, t.facts), rowferry._stagger_problem(t.facts, m.facts))
        || '. Give each node values of its own: alter sequence .. minvalue .. maxvalue ..; or let one node draw for both.',
      format('select * from rowferry.stagger_sequence(%L);  -- here; then: select * from rowferry.stagger_sequence(%L);  -- on %s', m.name, t.name, p_peer))
  from sequences m
  join sequences t on t.side = 'there' and t.entity = m.entity and t.column_name = m.column_name
  join rowferry.entities n on n.name = m.entity
  -- How far their values are from each other at least.
  cross join lateral (select gcd(m.increment, t.increment)) g (divisor)
  cross join lateral (select mod(mod(m.next - t.next, g.divisor) + g.divisor, g.divisor), greatest(m.block, t.block, 1)) b (away, block)
  where m.side = 'here' and m.least <= t.most and t.least <= m.most and (b.away < b.block or b.away + b.block > g.divisor)
    and exists (
      select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1])
      where i.indrelid = n.relation and i.indisunique and a.attname = m.local)
$$;
comment on function rowferry._check_staggering(text, jsonb, jsonb) is
  'For check(): sequences of the two nodes that can draw the same values for a unique column of one entity.';
