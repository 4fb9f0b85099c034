-- What differs between this node and the peer, by what the peer said of itself last; each line says when that was.
create or replace function rowferry._check_peer(
  p_peer text
)
returns table (
  severity text,
  object text,
  problem text,
  fix text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  c_skew constant interval := '2 s';  -- an envelope's way takes less
  v_node text := (select n.name from rowferry.node n);
  v_theirs jsonb;
  v_heard_at timestamptz;
  v_difference interval := (select l.clock_difference from rowferry.links l where l.peer = p_peer);
  v_mine jsonb := rowferry._schema_facts(p_peer);
  v_as_of text;
begin
  select f.facts, f.heard_at into v_theirs, v_heard_at from rowferry.peer_facts f where f.peer = p_peer;
  if v_theirs is null then
    return query select 'info', format('link %s', p_peer), format('%s has not said anything of itself yet, so the two nodes are not compared', p_peer), 'Start the worker: rowferry run';
    return;
  elsif v_mine is null then
    return query select 'info', format('link %s', p_peer), 'somebody has a table locked, so the two nodes are not compared', 'select * from rowferry.check(); once more.';
    return;
  elsif v_mine ? 'unreadable' then
    return query select 'warning', format('link %s', p_peer), format('what this node has to tell of its tables cannot be read, so the two nodes are not compared: %s', v_mine ->> 'unreadable'),
      case v_mine ->> 'sqlstate' when '42501' then format('grant usage on schema %s to rowferry_owner;', coalesce((
          -- The error has no field for it.
          select quote_ident(n.nspname) from pg_namespace n
          where not has_schema_privilege('rowferry_owner', n.oid, 'usage') and strpos(v_mine ->> 'unreadable', n.nspname) > 0
          order by length(n.nspname) desc limit 1), '..')) else 'select * from rowferry.check(); once more: somebody may have altered a table just then.' end;
    return;
  elsif v_theirs ? 'last' then
    return query select 'info', format('link %s', p_peer), format('%s has not told of all its entities yet, so the two nodes are not compared', p_peer),
      'select * from rowferry.check(); a moment later.';
    return;
  elsif v_heard_at < rowferry._now() - interval '1 day' then
    return query select 'info', format('link %s', p_peer), format('what %s said of itself is of %s', p_peer, to_char(v_heard_at, 'YYYY-MM-DD HH24:MI')),
      'It says it again with the next change that travels, and when the worker starts.';
  end if;

  v_as_of := format('; %s said so at %s', p_peer, to_char(v_heard_at, 'YYYY-MM-DD HH24:MI:SS'));

  return query
  select q.severity, q.object, q.problem || v_as_of, q.fix from (
  select case when w.used is null then 'info' else 'warning' end, format('server of %s', p_peer), w.problem || coalesce('; function ' || w.used || ' there uses it', ''),
    'Update the server to its latest minor version, or use no MERGE on tables that are kept in sync.'
  from (values (rowferry._server_warning((v_theirs ->> 'server')::integer), v_theirs ->> 'merging')) w (problem, used)
  where w.problem is not null
  union all
  select 'error', 'database', format('it is encoded in %s here and in %s on %s', v_mine ->> 'encoding', v_theirs ->> 'encoding', p_peer), 'Both must be UTF8.'
  where v_mine ->> 'encoding' <> v_theirs ->> 'encoding'
  union all
  select 'warning', 'database', format('its collation is %s here and %s on %s: order differs, and perhaps which texts are equal', c.mine, c.theirs, p_peer),
    'Name the collation of columns where it matters.'
  from (values (concat_ws(' of provider ', v_mine #>> '{collation,name}', v_mine #>> '{collation,provider}'),
    concat_ws(' of provider ', v_theirs #>> '{collation,name}', v_theirs #>> '{collation,provider}'))) c (mine, theirs)
  where c.mine <> c.theirs
  union all
  select 'info', 'database', format('its collation has version %s here and %s on %s: texts may sort differently', v_mine #>> '{collation,version}', v_theirs #>> '{collation,version}', p_peer),
    'None is needed; the sync compares keys byte by byte.'
  where v_mine #>> '{collation,version}' <> v_theirs #>> '{collation,version}'
  union all
  select 'warning', 'clock', format('the clock of %s is %s %s of this one: the rule newest prefers its changes wrongly', p_peer,
      date_trunc('milliseconds', greatest(v_difference, -v_difference)), case when v_difference > interval '0' then 'ahead' else 'behind' end),
    'Let both servers follow one time: timedatectl, chronyc tracking.'
  where greatest(v_difference, -v_difference) > c_skew
  ) q (severity, object, problem, fix);

  return query
  with actions (event, code, spelled) as (
    select o.event, a.code, format(' on %s %s', o.event, a.spelled)
    from (values ('delete'), ('update')) o (event)
    cross join (values ('c', 'cascade'), ('n', 'set null'), ('d', 'set default'), ('r', 'restrict')) a (code, spelled)
  ), entities as (
    select coalesce(m.key, t.key) as name, m.value as mine, t.value as theirs, m.value ->> 'relation' as relation, t.value ->> 'relation' as their_relation
    from jsonb_each(v_mine -> 'entities') m
    full join jsonb_each(v_theirs -> 'entities') t using (key)
  ), columns as (
    select e.name as entity, e.relation, e.their_relation, c.*
    from entities e
    cross join lateral (
      select key, m.value, t.value from jsonb_each(e.mine -> 'columns') m full join jsonb_each(e.theirs -> 'columns') t using (key)) c (name, mine, theirs)
    where e.mine is not null and e.theirs is not null and not e.mine ? 'apart' and not e.theirs ? 'apart'
  ), uniques as (
    -- A view's columns are not those of the table's constraints.
    select e.name as entity, e.relation, e.their_relation, u.side, u.value ->> 'name' as name,
      jsonb_strip_nulls(u.value - 'name') as what, concat_ws(' ', '(' || (select string_agg(c, ', ') from jsonb_array_elements_text(u.value -> 'columns') c) || ')',
        u.value ->> 'expressions', 'where ' || (u.value ->> 'where')) as spelled
    from entities e
    cross join lateral (
      select 'mine', m.value from jsonb_array_elements(e.mine -> 'uniques') m union all select 'theirs', t.value from jsonb_array_elements(e.theirs -> 'uniques') t) u (side, value)
    where e.mine is not null and e.theirs is not null and not e.mine ? 'outbound' and not e.theirs ? 'outbound'
  ), foreign_keys as (
    select e.name as entity, e.relation, e.their_relation, f.side, jsonb_strip_nulls(f.value - 'table') as what,
      format('(%s) references %s%s%s', (select string_agg(c, ', ') from jsonb_array_elements_text(f.value -> 'columns') c), f.value ->> 'table',
        (select a.spelled from actions a where a.event = 'delete' and a.code = f.value ->> 'on_delete'),
        (select a.spelled from actions a where a.event = 'update' and a.code = f.value ->> 'on_update')) as spelled
    from entities e
    cross join lateral (
      select 'mine', m.value from jsonb_array_elements(e.mine -> 'foreign_keys') m union all select 'theirs', t.value from jsonb_array_elements(e.theirs -> 'foreign_keys') t) f (side, value)
    where e.mine is not null and e.theirs is not null and not e.mine ? 'outbound' and not e.theirs ? 'outbound'
  ), triggers as (
    select e.name as entity, e.relation, e.their_relation, t.side, t.key as name, t.value as what
    from entities e
    cross join lateral (
      select 'mine', m.key, m.value from jsonb_each_text(e.mine -> 'triggers') m union all select 'theirs', t.key, t.value from jsonb_each_text(e.theirs -> 'triggers') t) t (side, key, value)
    where e.mine is not null and e.theirs is not null
  )
  select q.severity, q.object, q.problem || v_as_of, q.fix from (
  select case when n.attached_at > v_heard_at then 'info' else 'error' end, e.relation, format('%s has not attached entity %s: its changes wait', p_peer, e.name),
    case when n.attached_at > v_heard_at then 'It was attached here since; look again once the worker has told it.' else format('select rowferry.attach(its table, %L);  -- on %s', e.name, p_peer) end
  from entities e
  join rowferry.entities n on n.name = e.name
  where e.theirs is null
  union all
  select 'error', format('entity %s', e.name), format('it is attached on %s (%s) and not here: its changes wait there', p_peer, e.their_relation),
    format('select rowferry.attach(its table, %L);', e.name)
  from entities e
  where e.mine is null
  union all
  select 'error', e.relation, format('on %s %s', p_peer, e.theirs #>> '{apart,problem}'), rowferry._on_node(e.theirs #>> '{apart,fix}', p_peer)
  from entities e
  where e.mine is not null and e.theirs ? 'apart'
  union all
  select 'error', e.relation, format('the key of entity %s is %s here and %s on %s: its changes wait', e.name, e.mine ->> 'key', e.theirs ->> 'key', p_peer),
    'Attach it on both nodes with one key (p_key), its columns of one type.'
  from entities e
  where e.mine is not null and e.theirs is not null and array[e.mine -> 'key', e.mine -> 'key_types'] <> array[e.theirs -> 'key', e.theirs -> 'key_types']
  union all
  select 'error', e.relation, format('the %s of entity %s is %s here and %s on %s: its changes wait', replace(m.key, '_', ' '), e.name, m.value, t.value, p_peer),
    format('select rowferry.set_rules(%L, ..);  -- on one of the nodes', e.name)
  from entities e
  cross join lateral jsonb_each_text(e.mine -> 'rules') m
  join lateral jsonb_each_text(e.theirs -> 'rules') t using (key)
  where m.value <> t.value
  union all
  select 'warning', e.relation, format('entity %s goes %s here and %s on %s', e.name, w.mine, w.theirs, p_peer),
    format('select rowferry.attach(%L, p_direction => ..);  -- both on both nodes, or send on one and receive on the other', e.relation)
  from entities e
  cross join lateral (select e.mine ->> 'direction', e.theirs ->> 'direction') w (mine, theirs)
  where (w.mine, w.theirs) not in (('both', 'both'), ('send', 'receive'), ('receive', 'send'))
  union all
  select case when e.mine ->> 'filter' is null then 'warning' else 'info' end, e.relation,
    format('of entity %s only rows with %s are kept in sync on %s: others of this node are refused there', e.name, e.theirs ->> 'filter', p_peer),
    format('select rowferry.attach(%L, p_filter => ..);  -- one that says the same here', e.relation)
  from entities e
  where e.mine ->> 'direction' <> 'receive' and e.theirs ->> 'filter' <> coalesce(e.mine ->> 'filter', '')
  union all
  select case when e.mine ->> 'within' is null then 'warning' else 'info' end, e.relation,
    format('of entity %s only rows that refer to one of %s that is kept in sync there are kept in sync on %s: others of this node are refused there', e.name, e.theirs ->> 'within', p_peer),
    format('select rowferry.attach(%L, p_within => %L);', e.relation, e.theirs ->> 'within')
  from entities e
  where e.mine ->> 'direction' <> 'receive' and e.theirs ->> 'within' <> coalesce(e.mine ->> 'within', '')
  union all
  select 'error', c.relation, format('column %s travels only from %s: changes of entity %s wait', c.name, case when c.mine is null then p_peer else v_node end, c.entity),
    format('select rowferry.attach(%L);  -- on both nodes, once both tables have the same columns, or with the same p_columns', c.relation)
  from columns c
  where c.mine is null or c.theirs is null
  union all
  select 'warning', c.relation, format('column %s is %s here and %s on %s (%s): a value that does not read back is held', c.mine ->> 'local', c.mine ->> 'type', c.theirs ->> 'type', p_peer,
      c.their_relation || '.' || (c.theirs ->> 'local')),
    'Give both columns one type: alter table .. alter column .. type ..; then attach it again.'
  from columns c
  where c.mine ->> 'type' <> c.theirs ->> 'type'
  union all
  select 'warning', c.relation, format('column %s has collation %s here and %s on %s: the two may differ about which texts are equal', c.mine ->> 'local', c.mine ->> 'collation',
      c.theirs ->> 'collation', p_peer), 'Give both columns one collation.'
  from columns c
  where c.mine ->> 'collation' <> c.theirs ->> 'collation'
  union all
  select 'warning', c.relation, format('column %s may be null %s and not %s: such a row is refused', c.mine ->> 'local',
      case when (c.mine ->> 'required')::boolean then 'on ' || p_peer else 'here' end, case when (c.mine ->> 'required')::boolean then 'here' else 'on ' || p_peer end),
    'Make it not null on both nodes, or on neither.'
  from columns c
  where c.mine ->> 'required' <> c.theirs ->> 'required'
  union all
  select case when b.shared then 'info' else 'warning' end, u.relation,
    case when b.shared then format('both nodes can give away one value of the unique %s: the second row is refused', u.spelled)
      when u.side = 'mine' then format('%s is unique here (%s) and not on %s, whose rows it can refuse', u.spelled, u.name, p_peer)
      else format('%s is unique on %s (%s) and not here, whose rows it can refuse', u.spelled, p_peer, u.name) end,
    case when b.shared then 'A refused row waits in rowferry.sync_events; change one of the two.' else 'Make it unique on both nodes, or on neither.' end
  from uniques u
  cross join lateral (select exists (select from uniques o where o.entity = u.entity and o.side <> u.side and o.what = u.what)) b (shared)
  where u.side = 'mine' or not b.shared
  union all
  select 'warning', f.relation, format('foreign key %s is there %s and not %s: what it refuses or does in cascade happens on one node, and goes to the other as a consequence',
      f.spelled, case f.side when 'mine' then 'here' else 'on ' || p_peer end, case f.side when 'mine' then 'on ' || p_peer else 'here' end),
    'Give both nodes the same foreign key, with the same actions.'
  from foreign_keys f
  where not exists (select from foreign_keys o where o.entity = f.entity and o.side <> f.side and o.what = f.what)
  union all
  select 'warning', t.relation, format('trigger %s (%s) has no like %s: it runs for rows of the other node too, and what it changes goes back as a consequence',
      t.name, t.what, case t.side when 'mine' then 'on ' || p_peer else 'here' end),
    'Give both nodes a trigger that does the same, or let it run for changes of its own node alone: alter table .. enable trigger ..; then attach() the table again.'
  from triggers t
  where not exists (select from triggers o where o.entity = t.entity and o.side <> t.side and o.what = t.what)
  union all
  select 'warning', s.mine ->> 'name', format('%s on %s can draw the same values for %s.%s: rows with one key would be taken for one record', s.theirs ->> 'name', p_peer, c.relation, c.mine ->> 'local'),
    coalesce('It cannot be staggered, since ' || coalesce(rowferry._stagger_problem(s.mine, s.theirs), rowferry._stagger_problem(s.theirs, s.mine))
        || '. Give each node values of its own: alter sequence .. minvalue .. maxvalue ..; or let one node draw for both.',
      format('select * from rowferry.stagger_sequence(%L);  -- here; then: select * from rowferry.stagger_sequence(%L);  -- on %s', s.mine ->> 'name', s.theirs ->> 'name', p_peer))
  from columns c
  cross join lateral (select c.mine -> 'sequence', c.theirs -> 'sequence') s (mine, theirs)
  cross join lateral rowferry._may_draw(s.mine) m
  cross join lateral rowferry._may_draw(s.theirs) t
  cross join lateral (
    -- How far their values are from each other at least, and for how many ids one of them stands.
    select g.divisor, mod(mod((s.mine ->> 'next')::numeric - (s.theirs ->> 'next')::numeric, g.divisor) + g.divisor, g.divisor) as away,
      greatest((s.mine ->> 'block')::numeric, (s.theirs ->> 'block')::numeric, 1) as block
    from (values (gcd((s.mine ->> 'increment')::numeric, (s.theirs ->> 'increment')::numeric))) g (divisor)) b
  where not exists (select from entities e where e.name = c.entity and 'both' <> any (array[e.mine ->> 'direction', e.theirs ->> 'direction']))
    and m.o_from <= t.o_to and t.o_from <= m.o_to
    and (b.away < b.block or b.away + b.block > b.divisor)
    and exists (
      select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1])
      where i.indrelid = (select e.relation from rowferry.entities e where e.relation::text = c.relation) and i.indisunique and a.attname = c.mine ->> 'local')
  ) q (severity, object, problem, fix);
exception
  when data_exception then
    return query select 'error', format('link %s', p_peer), format('what %s said of itself cannot be read: %s', p_peer, sqlerrm), 'Bring both nodes to one version: alembic upgrade head';
end
$$;
comment on function rowferry._check_peer(text) is 'For check(): what differs between this node and the peer.';
