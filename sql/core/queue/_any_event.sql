create or replace function rowferry._any_event(
  p_peer text,
  p_first_id bigint,
  p_left int8multirange
)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
  return exists (
      select
      from unnest(int8multirange(int8range(p_first_id, 9223372036854775807)) - p_left) g
      cross join lateral (select from rowferry.events e where e.id >= lower(g) and e.id < upper(g)
        and e.entity_id + 0 = any (array(select n.id from rowferry.entities n where n.peer = p_peer)) order by e.id limit 1) e
    );
end
$$;
comment on function rowferry._any_event(text, bigint, int8multirange) is
  'Whether there is any event for a peer from an id on. p_left has the events that were removed from the queue in this call, past which the search '
  'need not walk.';
