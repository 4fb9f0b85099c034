create or replace function rowferry._check_entities(
  p_peer text,
  p_mine jsonb,
  p_theirs jsonb,
  p_heard_at timestamptz
)
returns setof rowferry._finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with entities (name, mine, theirs, relation) as (
    select key, m.value, t.value, m.value ->> 'relation'
    from jsonb_each(p_mine -> 'entities') m
    full join jsonb_each(p_theirs -> 'entities') t using (key)
  )
  select case when n.attached_at > p_heard_at then 'info' else 'error' end, e.relation,
    format('%s has not attached entity %s: its changes wait', p_peer, e.name),
    case when n.attached_at > p_heard_at then 'It was attached here since; look again once the worker has told it.'
      else format('select rowferry.attach(%L, %L%s);  -- on %s, with the name that the table has there; or, if it is to leave the sync, here: '
        'select rowferry.detach(%2$L, p_force => true); which gives up what waits', e.relation, e.name,
        (select format(', p_peer => %L', o.name) from rowferry.links l cross join rowferry.node o where l.peer = p_peer and l.spoke is not null), p_peer) end
  from entities e
  join rowferry.entities n on n.name = e.name
  where e.theirs is null
  union all
  select 'error', format('entity %s', e.name), format('it is attached on %s (%s) and not here: its changes wait there', p_peer, e.theirs ->> 'relation'),
    format('select rowferry.attach(%L, %L%s);  -- with the name that the table has here; or, if it is to leave the sync, on %s: '
        'select rowferry.detach(%2$L, p_force => true); which gives up what waits there',
      e.theirs ->> 'relation', e.name, rowferry._which_entity(p_peer), p_peer)
  from entities e
  where e.mine is null
  union all
  select 'error', e.relation, format('on %s %s', p_peer, e.theirs #>> '{apart,problem}'), rowferry._on_node(e.theirs #>> '{apart,fix}', p_peer)
  from entities e
  where e.mine is not null and e.theirs ? 'apart'
  union all
  select 'warning', e.relation, format('entity %s goes %s here and %s on %s', e.name, w.mine, w.theirs, p_peer),
    format('select rowferry.attach(%L%s, p_direction => ..);  -- both on both nodes, or send on one and receive on the other', e.relation,
      rowferry._which_entity(p_peer, e.name))
  from entities e
  cross join lateral (select e.mine ->> 'direction', e.theirs ->> 'direction') w (mine, theirs)
  where (w.mine, w.theirs) not in (('both', 'both'), ('send', 'receive'), ('receive', 'send'))
  union all
  -- Which rows of an entity are kept in sync.
  select case when e.mine ->> w.option is null then 'warning' else 'info' end, e.relation,
    format('of entity %s, %s keeps only rows in sync that %s, and refuses all others that this node sends', e.name, p_peer, w.which),
    format('select rowferry.attach(%L%s, p_%s => %s', e.relation, rowferry._which_entity(p_peer), w.option, w.value)
  from entities e
  cross join lateral (values
    ('filter', format('have %s', e.theirs ->> 'filter'), '..);  -- one that says the same here'),
    ('within', format('refer to a row of %s which is in sync too', e.theirs ->> 'within'), format('%L);', e.theirs ->> 'within'))) w (option, which, value)
  where e.mine ->> 'direction' <> 'receive' and e.theirs ->> w.option <> coalesce(e.mine ->> w.option, '')
$$;
comment on function rowferry._check_entities(text, jsonb, jsonb, timestamptz) is
  'For check(): entities that only one node has attached, or that the nodes keep in sync in directions or by filters that do not fit.';
