create or replace function rowferry._plan_pairs(
  p_mine jsonb,
  p_theirs jsonb
)
returns table (
  mine text,
  theirs text,
  entity text,
  is_attached boolean,
  columns text[],
  key jsonb,
  problem text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with sides (is_mine, name, facts, label) as (
    select s.is_mine, t.key, t.value, coalesce(regexp_replace(t.value ->> 'entity', '@' || l.spoke || '$', ''), t.value ->> 'entity', t.value ->> 'short')
    from (values (true, p_mine), (false, p_theirs)) s (is_mine, facts)
    join rowferry.links l on l.peer = p_theirs ->> 'node'
    cross join lateral jsonb_each(s.facts -> 'tables') t
  ), alike (mine, theirs) as (
    -- By schema and name; the others by name alone, or by the name of the entity, where no second table is called so.
    select m.name, t.name from sides m join sides t using (name) where m.is_mine and not t.is_mine
    union all
    select min(s.name) filter (where s.is_mine), min(s.name) filter (where not s.is_mine)
    from sides s
    group by s.label
    having count(*) filter (where s.is_mine) = 1 and count(*) filter (where not s.is_mine) = 1
      and not bool_or(exists (select from sides o where o.name = s.name and o.is_mine <> s.is_mine))
  ), pairs as (
    select a.mine, a.theirs, m.facts as m, t.facts as t,
      -- A table that is attached on one node gets the columns that it has there.
      case when t.facts ? 'entity_columns' then array(select jsonb_array_elements_text(t.facts -> 'entity_columns'))
        else array(select k from jsonb_object_keys(m.facts -> 'columns') k where t.facts -> 'columns' ? k order by k collate "C") end as columns,
      count(*) over (partition by m.facts ->> 'short') > 1
        or (p_mine -> 'entities' || (p_theirs -> 'entities')) ? (m.facts ->> 'short') as is_taken
    from alike a
    join sides m on m.is_mine and m.name = a.mine
    join sides t on not t.is_mine and t.name = a.theirs
    where m.facts ->> 'aside' is null and t.facts ->> 'aside' is null
  )
  select p.mine, p.theirs, n.entity, p.m ? 'entity', p.columns, k.key,
    case
      when count(*) over (partition by n.entity) > 1 then format('two tables would have the name %s here: attach one of them under another name, '
        'with p_entity, on both nodes', n.entity)
      when p.m ? 'problem' then p.m ->> 'problem'
      when p.t ? 'problem' then format('on %s: %s', p_theirs ->> 'node', p.t ->> 'problem')
      when not p.m -> 'columns' ?& p.columns then format('%s has attached columns that this table lacks: %s', p_theirs ->> 'node', (
        select string_agg(c, ', ' order by c) from unnest(p.columns) c where not p.m -> 'columns' ? c))
      when k.key is null then format('no key is the same on both nodes: %s here, %s on %s', rowferry._plan_key_names(p.m), rowferry._plan_key_names(p.t),
        p_theirs ->> 'node') end
  from pairs p
  join rowferry.links l on l.peer = p_theirs ->> 'node'
  cross join lateral (select coalesce(p.m ->> 'entity', p.t ->> 'entity',
    case when p.is_taken then least(p.mine collate "C", p.theirs) else p.m ->> 'short' end || coalesce('@' || l.spoke, ''))) n (entity)
  left join lateral (
    select h.value
    from jsonb_array_elements(p.m -> 'keys') h
    left join jsonb_array_elements(p.t -> 'keys') o on o.value -> 'key' = h.value -> 'key'
    where h.value -> 'key' = coalesce(o.value -> 'key', p.t -> 'key')
    order by (h.value ->> 'primary')::boolean::integer + (o.value ->> 'primary')::boolean::integer desc, jsonb_array_length(h.value -> 'key'),
      h.value ->> 'key'
    limit 1) k (key) on true
$$;
comment on function rowferry._plan_pairs(jsonb, jsonb) is
  'For plan(): which table of this node is which one of the other, by the facts of both. entity is the name that both are to use, columns those that both '
  'have, key one by which both tell rows apart; problem says why the two cannot be kept in sync. Both nodes come to the same answer.';
