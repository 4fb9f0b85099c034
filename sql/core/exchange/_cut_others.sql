create or replace function rowferry._cut_others(
  p_peer text
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_peer text;
  v_before rowferry.links;
  v_link rowferry.links;
begin
  for v_peer in select l.peer from rowferry.links l where l.peer <> p_peer and (l.backlog_limit is not null or l.cut_at is not null) order by l.peer loop
    continue when not pg_try_advisory_xact_lock(rowferry._link_key(v_peer));
    select l.* into v_before from rowferry.links l where l.peer = v_peer for no key update skip locked;
    continue when not found;
    v_link := rowferry._cut(v_before);
    if v_link.cut_at is not null then
      v_link.first_id := rowferry._remove_backlog(v_peer, v_link.first_id);
    end if;
    update rowferry.links l
    set cut_at = v_link.cut_at, stopped_at = v_link.stopped_at, stopped_reason = v_link.stopped_reason, first_id = v_link.first_id,
      backlog_looked_at = v_link.backlog_looked_at
    where l.peer = v_peer and v_link is distinct from v_before;
  end loop;
end
$$;
comment on function rowferry._cut_others(text) is
  'Looks whether another link than that to p_peer is to be cut, and removes a portion of the events of one that was cut: a peer that is away makes no calls '
  'of its own. It never waits for a lock.';
