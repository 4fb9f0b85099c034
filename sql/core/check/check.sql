create or replace function rowferry.check(
  p_peer text default null
)
returns table (
  severity text,
  object text,
  problem text,
  fix text
)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set standard_conforming_strings = on
set jit = off  -- its many small queries would be compiled for longer than they run
as $$
  with peers as materialized (
    select l.peer from rowferry.links l where p_peer is null or l.peer = (rowferry._find_link(p_peer)).peer
  )
  select distinct on (array_position(array['error', 'warning', 'info'], c.severity), c.object, c.problem, c.fix)
    c.severity, c.object, c.problem, c.fix
  from (
    select s.* from rowferry._check_server() s
    union all
    select w.* from rowferry._check_own() w
    union all
    select c.* from peers p cross join lateral rowferry._check_capture(p.peer) c
    union all
    select f.* from peers p cross join lateral rowferry._check_functions(p.peer) f
    union all
    select r.* from peers p cross join lateral rowferry._check_rights(p.peer) r
    union all
    select t.* from peers p cross join lateral rowferry._check_tables(p.peer) t
    union all
    select k.* from peers p cross join lateral rowferry._check_foreign_keys(p.peer) k
    union all
    select o.* from peers p cross join lateral rowferry._check_peer(p.peer) o
    union all
    select x.* from peers p cross join lateral rowferry._check_outbox(p.peer) x
    union all
    select s.* from peers p cross join lateral rowferry._check_sequences(p.peer) s
    union all
    select d.* from peers p cross join lateral rowferry._check_differing(p.peer) d
  ) c
  order by array_position(array['error', 'warning', 'info'], c.severity), c.object, c.problem, c.fix
$$;
comment on function rowferry.check(text) is
  'What would go wrong on this node or between it and its peers, each with what to type. It reads the catalog and what each peer last said of itself, and '
  'changes nothing. check is a word of SQL: call it with its schema, select * from rowferry.check();';
