create or replace function rowferry._alone(
  p_peer text,
  out o_event_id bigint,
  out o_patience integer,
  out o_flying boolean,
  out o_allowed boolean
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select h.event_id, p.patience, q.in_flight,
    p.patience = 1 or t.limited = 0 or t.limited >= p.patience * extract(epoch from current_setting('deadlock_timeout')::interval) * 0.69
  from rowferry.held_events h
  join rowferry.entities n on n.id = h.entity_id and n.peer = p_peer and rowferry._is_free(n)
  cross join lateral (select least(64, h.patience * case when h.sqlstate <> '57014' then 1 when h.attempts = 1 then 4 else 8 end)) p (patience)
  cross join lateral (select v.in_flight, v.record_skipped from rowferry._queue v where v.id = h.event_id offset 0) q
  cross join (select extract(epoch from current_setting('statement_timeout')::interval)) t (limited)
  where h.patience is not null and (q.in_flight or h.not_before <= rowferry._now()) and not q.record_skipped
  order by q.in_flight desc, h.not_before, h.event_id
  limit 1
$$;
comment on function rowferry._alone(text) is
  'The record that travels alone next, or is in flight (o_flying). o_event_id is its event. o_patience is how many times as long as usual a call with it may '
  'take, which is more with each time that it ran out of time. o_allowed says whether the present call may take so long.';
