create or replace function rowferry.compare_all(
  p_peer text default null
)
returns table (
  run_id bigint,
  entity text,
  peer text,
  state text
)
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select c.run_id, c.entity, c.peer, c.state
  from (
    select e.name from rowferry.entities e
    where case when p_peer is null then not rowferry._is_outbox(e.peer) else e.peer = (rowferry._find_link(p_peer)).peer end
    order by e.peer, e.id) e
  cross join lateral rowferry.compare(e.name) c
$$;
comment on function rowferry.compare_all(text) is
  'Compares everything that is kept in sync with p_peer, or with all other nodes: select * from rowferry.compare_all(); A comparison is queued for each entity, as '
  'by compare(), and the worker carries them. Links are compared side by side. The view compare_runs shows how far they are.';
