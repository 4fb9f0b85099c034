-- Makes events of rows that moved such of rows that are gone from the peer, newer than all others: what follows these rows goes before them.
create or replace function rowferry._send_after(
  p_ids bigint[]
)
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  with moved as (
    delete from rowferry.events e where e.id = any (p_ids) and e.event_type = 'w' returning e.*
  )
  insert into rowferry.events (changed_at, entity_id, hops, event_type, record_id)
  select m.changed_at, m.entity_id, m.hops, 'd', m.record_id from moved m order by m.id
$$;
comment on function rowferry._send_after(bigint[]) is 'Makes events of rows that moved such of rows that are gone from the peer.';
