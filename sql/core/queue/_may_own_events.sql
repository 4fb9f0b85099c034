create or replace function rowferry._may_own_events(
  p_entity text
)
returns integer
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
  return (
    select x.id
    from rowferry.entities x
    join rowferry.links l on l.peer = x.peer
    cross join lateral (
      select count(*) >= 1000 or coalesce(bool_or(n.entity_id = x.id), false) as found
      from (select e.entity_id from rowferry.events e where e.id >= l.first_id order by e.id limit 1000) n
    ) q
    where x.name = p_entity and (q.found or exists (select from rowferry.held_events h where h.entity_id = x.id))
  );
end
$$;
comment on function rowferry._may_own_events(text) is
  'The id of an entity if this node may have changes of it that the peer has not acknowledged, else null. A short look at the queue, so that traffic in '
  'one direction does not look for each key.';
