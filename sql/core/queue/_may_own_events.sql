create or replace function rowferry._may_own_events(
  p_entity_id integer
)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
  return (
    select count(*) >= 1000 or coalesce(bool_or(n.entity_id = p_entity_id), false)
      or exists (select from rowferry.held_events h where h.entity_id = p_entity_id)
    from (
      select e.entity_id
      from rowferry.events e
      where e.id >= (select l.first_id from rowferry.links l join rowferry.entities x on x.peer = l.peer where x.id = p_entity_id)
      order by e.id
      limit 1000
    ) n
  );
end
$$;
comment on function rowferry._may_own_events(integer) is
  'Whether this node may have changes of an entity that the peer has not acknowledged. A short look at the queue, so that traffic in one direction does '
  'not look for each key.';
