create or replace function rowferry._remove_backlog(
  p_peer text,
  p_first_id bigint,
  p_most bigint
)
returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  v_entities integer[] := array(select n.id from rowferry.entities n where n.peer = p_peer);
  v_walked record;
begin
  select max(w.id) as last_id, range_agg(int8range(w.id, w.id + 1)) filter (where w.entity_id = any (v_entities)) as ids into v_walked
  from (select e.id, e.entity_id from rowferry.events e where e.id >= p_first_id order by e.id limit p_most) w;
  if v_walked.ids is not null then
    perform rowferry._delete_events(v_walked.ids);
  end if;
  return coalesce(v_walked.last_id + 1, p_first_id);
end
$$;
comment on function rowferry._remove_backlog(text, bigint, bigint) is
  'Removes the events of a link that was cut, among the next p_most of the queue, which are those of all links. Returns where the next portion begins.';
