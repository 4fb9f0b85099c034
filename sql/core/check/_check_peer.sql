create or replace function rowferry._check_peer(
  p_peer text
)
returns setof rowferry._finding
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  c_skew constant interval := '2 s';  -- an envelope takes less time than this to arrive
  c_again constant text := 'select * from rowferry.check();  -- again, in a moment';
  v_link text := 'link ' || p_peer;
  v_mine jsonb := rowferry._schema_facts(p_peer);
  v_theirs jsonb;
  v_heard_at timestamptz;
  v_difference interval := (select l.clock_difference from rowferry.links l where l.peer = p_peer);
begin
  if rowferry._is_outbox(p_peer) then
    return;
  end if;
  select f.facts, f.heard_at into v_theirs, v_heard_at from rowferry.peer_facts f where f.peer = p_peer;
  if v_mine is null then
    return query select 'info', v_link, 'somebody has a table locked, so the two nodes are not compared', c_again;
    return;
  elsif v_mine ? 'unreadable' then
    return query select 'warning', v_link, 'this node cannot read what it has to tell of its tables, so the two nodes are not compared: '
      || (v_mine ->> 'unreadable'),
      case v_mine ->> 'sqlstate' when '42501' then format('grant usage on schema %s to rowferry_owner;', coalesce((
          -- The error has no field for the schema.
          select quote_ident(n.nspname) from pg_namespace n
          where not has_schema_privilege('rowferry_owner', n.oid, 'usage') and strpos(v_mine ->> 'unreadable', n.nspname) > 0
          order by length(n.nspname) desc limit 1), '..')) else c_again || ': somebody may have altered a table just then' end;
    return;
  elsif v_theirs is null then
    return query select 'info', v_link, format('%s has not said anything of itself yet, so the two nodes are not compared', p_peer),
      case when rowferry._courier_at_work((select n.name from rowferry.node n), p_peer) is null then 'Start the worker: rowferry run'
        else format('select * from rowferry.check();  -- on %s: the worker is at work, so this says what keeps %1$s', p_peer) end;
    return;
  elsif v_theirs ? 'last' then
    return query select 'info', v_link, format('%s has not told of all its entities yet, so the two nodes are not compared', p_peer), c_again;
    return;
  elsif v_heard_at < rowferry._now() - interval '1 day' then
    return query select 'info', v_link, format('what %s last said of itself is of %s', p_peer, to_char(v_heard_at, 'YYYY-MM-DD HH24:MI')),
      'It says it again with the next change that travels, and when the worker starts.';
  end if;
  return query
  select d.severity, d.object, format('%s; %s said so at %s', d.problem, p_peer, to_char(v_heard_at, 'YYYY-MM-DD HH24:MI:SS')), d.fix
  from (
    select case when w.used is null then 'info' else 'warning' end, format('server of %s', p_peer),
      w.problem || coalesce('; function ' || w.used || ' there uses it', ''),
      'Update the server to its latest minor version, or use no MERGE on tables that are kept in sync.'
    from (values (rowferry._server_warning((v_theirs ->> 'server')::integer), v_theirs ->> 'merging')) w (problem, used)
    where w.problem is not null
    union all
    select 'warning', 'clock', format('the clock of %s is %s %s of this one: the rule newest prefers its changes wrongly', p_peer,
        date_trunc('milliseconds', greatest(v_difference, -v_difference)), case when v_difference > interval '0' then 'ahead' else 'behind' end),
      'Let both servers follow one time: timedatectl, chronyc tracking.'
    where greatest(v_difference, -v_difference) > c_skew
    union all
    select e.* from rowferry._check_entities(p_peer, v_mine, v_theirs, v_heard_at) e
    union all
    select f.* from rowferry._check_facts(p_peer, v_mine, v_theirs) f
    union all
    select s.* from rowferry._check_staggering(p_peer, v_mine, v_theirs) s
  ) d (severity, object, problem, fix);
exception
  when data_exception then
    return query select 'error', v_link, format('what %s said of itself cannot be read: %s', p_peer, sqlerrm),
      'Bring both nodes to one version: alembic upgrade head';
end
$$;
comment on function rowferry._check_peer(text) is
  'For check(): what differs between this node and the peer, by what the peer last said of itself; each line says when that was.';
