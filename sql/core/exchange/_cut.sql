create or replace function rowferry._cut(
  p_link rowferry.links
)
returns rowferry.links
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now constant timestamptz := rowferry._now();
  v_bytes bigint;
begin
  if p_link.backlog_limit is null or p_link.cut_at is not null or p_link.paused_at is not null
    or p_link.backlog_looked_at > v_now - interval '1 min' or p_link.last_exchange_at > v_now - interval '1 min' then
    return p_link;
  end if;
  p_link.backlog_looked_at := v_now;
  v_bytes := rowferry._backlog_bytes(p_link.peer, p_link.backlog_limit);
  if v_bytes <= p_link.backlog_limit then
    p_link.backlog_since := null;
  elsif p_link.backlog_since is null or p_link.backlog_since <= p_link.last_exchange_at then
    -- A link that had nothing to send until now is quiet too. The next look tells whether the peer takes anything.
    p_link.backlog_since := v_now;
  else
    p_link.cut_at := v_now;
    p_link.backlog_since := null;
    p_link.first_id := 0;
    p_link.stopped_at := coalesce(p_link.stopped_at, v_now);
    p_link.stopped_reason := format('the link was cut: about %s of changes waited for %s, and set_backlog_limit() allows %s, so they are given up. '
      'Next, once %2$s is back: select * from rowferry.resync(%2$L); compares all tables with %2$s, and sends what differs',
      pg_size_pretty(v_bytes), p_link.peer, pg_size_pretty(p_link.backlog_limit)) || coalesce('. It had stopped before: ' || p_link.stopped_reason, '');
  end if;
  return p_link;
end
$$;
comment on function rowferry._cut(rowferry.links) is
  'Cuts a link, so that it is stopped and its events are given up, if at two looks more waits than set_backlog_limit() allows, and nothing has moved between '
  'them. It looks once a minute, and only if nothing has moved for a minute. A link that a person has paused here is not cut. The caller saves what it returns.';
