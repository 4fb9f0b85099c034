create or replace function rowferry._backlog_bytes(
  p_peer text,
  p_limit bigint
)
returns bigint
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  c_pages constant real := 2000;
  v_percent real := least(100, 100 * c_pages * current_setting('block_size')::real / greatest(pg_relation_size('rowferry.events'), 1));
begin
  if pg_total_relation_size('rowferry.events') <= p_limit then
    return 0;
  end if;
  return (
    select coalesce(sum(rowferry._event_bytes(e.record_id)) * 100 / v_percent, 0)
    from rowferry.events e tablesample system (v_percent)
    where e.entity_id = any (array(select n.id from rowferry.entities n where n.peer = p_peer)));
end
$$;
comment on function rowferry._backlog_bytes(text, bigint) is
  'About how many bytes the events of a link take. So that it never reads a long queue, it looks at 2,000 pages, and at none if all events together take no '
  'more than p_limit (0).';
