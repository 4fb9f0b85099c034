create or replace function rowferry._cut_others(
  p_peer text,
  p_events bigint
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
  for v_peer in
    select l.peer from rowferry.links l
    -- Whoever is at work on another link gets 'busy' as long as this call has the lock, so it is taken only if there is something to do.
    where l.peer <> p_peer and (l.cut_at is not null
      or l.backlog_limit is not null and l.paused_at is null
        and coalesce(greatest(l.backlog_looked_at, l.last_exchange_at) <= rowferry._now() - interval '1 min', true))
    order by l.peer
  loop
    continue when not pg_try_advisory_xact_lock(rowferry._link_key(v_peer));
    select l.* into v_before from rowferry.links l where l.peer = v_peer for no key update skip locked;
    continue when not found;
    v_link := rowferry._cut(v_before);
    if v_link.cut_at is not null then
      v_link.first_id := rowferry._remove_backlog(v_peer, v_link.first_id, least(50000, 5000 + 2 * p_events));
    end if;
    update rowferry.links l
    set cut_at = v_link.cut_at, stopped_at = v_link.stopped_at, stopped_reason = v_link.stopped_reason, first_id = v_link.first_id,
      backlog_looked_at = v_link.backlog_looked_at, backlog_since = v_link.backlog_since
    where l.peer = v_peer and v_link is distinct from v_before;
  end loop;
end
$$;
comment on function rowferry._cut_others(text, bigint) is
  'Looks whether another link than that to p_peer is to be cut, and removes a portion of the events of one that was cut: a peer that is away makes no calls '
  'of its own. p_events is the size of the batch: each of its events may have a sister that waits for that peer. It never waits for a lock.';
