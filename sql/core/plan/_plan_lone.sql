create or replace function rowferry._plan_lone(
  p_mine jsonb,
  p_theirs jsonb,
  p_pairs jsonb
)
returns table (
  mine text,
  line text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with lone (is_mine, name, short, columns) as (
    select s.is_mine, t.key, t.value ->> 'short', (select jsonb_object_agg(c.key, c.value -> 'type') from jsonb_each(t.value -> 'columns') c)
    from (values (true, 'mine', p_mine), (false, 'theirs', p_theirs)) s (is_mine, side, facts)
    cross join lateral jsonb_each(s.facts -> 'tables') t
    where not t.value ?| array['aside', 'problem', 'entity'] and not exists (select from jsonb_each(p_pairs) p where p.value ->> s.side = t.key)
  ), alike (mine, theirs, is_equal) as (
    -- The only two with these columns, or the only two that are left.
    select min(l.name) filter (where l.is_mine), min(l.name) filter (where not l.is_mine), l.columns is not null
    from lone l
    group by grouping sets ((l.columns), ())
    having count(*) filter (where l.is_mine) = 1 and count(*) filter (where not l.is_mine) = 1
  ), named as (
    select l.name, a.theirs, a.is_equal, case
        when p_mine -> 'entities' || (p_theirs -> 'entities') ? s.short or exists (select from jsonb_each(p_pairs) p where p.value ->> 'entity' = s.short)
          then least(l.name collate "C", a.theirs)
        else s.short end || coalesce('@' || k.spoke, '') as entity
    from lone l
    join rowferry.links k on k.peer = p_theirs ->> 'node'
    left join lateral (select a.* from alike a where a.mine = l.name order by a.is_equal desc limit 1) a on true
    cross join lateral (select least(l.short collate "C", p_theirs #>> array['tables', a.theirs, 'short'])) s (short)
    where l.is_mine
  )
  select n.name, format('%s has no table of this name; ', p_theirs ->> 'node') || case
      when n.theirs is not null then format('if its %s is the same table, add to the file up here: select rowferry.attach(%L, p_entity => %L%s%s);%s%s '
        || 'and change all files of both nodes (down: select rowferry.detach(%3$L, p_if_attached => true);)', n.theirs, n.name, n.entity,
        case when (select count(*) > 1 from rowferry.links) then format(', p_peer => %L', p_theirs ->> 'node') end,
        case when m.all_paired and m.renamed then format(', p_columns => %L', m.columns) end, m.sequences,
        case when not m.all_paired then ' with p_columns, where a column has another name here,' end)
      else format('if its table has another name, attach both with one p_entity, %s, and change all files of both nodes', case
        when p_mine ->> 'node' < p_theirs ->> 'node' collate "C" then format('say %L', n.entity)
        else format('the one that the file of %s says', p_theirs ->> 'node') end) end
  from named n
  cross join lateral (
    -- Two columns are the same if they have one name, or one type and are the only ones of it left. The first node by name keeps its names.
    with mine as (
      select c.key, c.value, s.value ? c.key as is_common, count(*) filter (where not s.value ? c.key) over (partition by c.value -> 'type') as candidates
      from jsonb_each(p_mine #> array['tables', n.name, 'columns']) c
      cross join (select p_theirs #> array['tables', n.theirs, 'columns']) s (value)
    ), theirs as (
      select c.key, c.value, s.value ? c.key as is_common, count(*) filter (where not s.value ? c.key) over (partition by c.value -> 'type') as candidates
      from jsonb_each(p_theirs #> array['tables', n.theirs, 'columns']) c
      cross join (select p_mine #> array['tables', n.name, 'columns']) s (value)
    ), pairs as (
      select case when p_mine ->> 'node' < p_theirs ->> 'node' collate "C" then m.key else t.key end as name, m.key as local, m.value -> 'sequence' as mine,
        t.value -> 'sequence' as theirs
      from mine m
      join theirs t on m.is_common and t.key = m.key
        or not m.is_common and not t.is_common and t.value -> 'type' = m.value -> 'type' and m.candidates = 1 and t.candidates = 1
    )
    select count(*) = greatest((select count(*) from mine), (select count(*) from theirs)), bool_or(p.name <> p.local), jsonb_object_agg(p.name, p.local),
      string_agg(format(' select * from rowferry.stagger_sequence(%L);', p.mine ->> 'name'), '' order by p.local collate "C")
        filter (where p.mine is not null and p.theirs is not null and pg_has_role(p.mine ->> 'owner', 'usage')
          and coalesce(rowferry._stagger_problem(p.mine, p.theirs), rowferry._stagger_problem(p.theirs, p.mine)) is null)
    from pairs p) m (all_paired, renamed, columns, sequences)
$$;
comment on function rowferry._plan_lone(jsonb, jsonb, jsonb) is
  'For plan(): what to type for a table of this node for which the other node has none of the same name, but perhaps one of another name. Both nodes come to '
  'the same name for the entity. p_pairs has the pairs of _plan_pairs().';
