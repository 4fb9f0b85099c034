create or replace function rowferry._log_batch(
  p_peer text,
  p_direction text,
  p_number bigint,
  p_tag uuid,
  p_events bigint,
  p_effect jsonb,
  p_conflicts integer,
  p_ms integer
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set timezone = 'UTC'
as $$
declare
  c_most_batches constant integer := 10000;
  c_longest constant interval := '90 days';
  v_now timestamptz := rowferry._now();
  v_id bigint;
  v_old boolean;
  v_others boolean;
begin
  insert into rowferry.batches (peer, direction, number, tag, records, events, refused, conflicts, ms, at)
  select p_peer, p_direction, p_number, p_tag, coalesce(sum((e.counts ->> 'records')::bigint), 0), p_events,
    coalesce(sum((e.counts ->> 'refused')::bigint), 0), p_conflicts, p_ms, v_now
  from jsonb_each(p_effect) e (entity, counts)
  returning id into v_id;
  -- The peer's numbers, within what sums can bear.
  insert into rowferry.traffic as t (peer, entity, direction, hour, batches, records, deletes, refused)
  select p_peer, e.entity, p_direction, date_trunc('hour', v_now), 1, greatest(0, least((e.counts ->> 'records')::bigint, 1000000000)),
    greatest(0, least((e.counts ->> 'deletes')::bigint, 1000000000)), greatest(0, least((e.counts ->> 'refused')::bigint, 1000000000))
  from jsonb_each(p_effect) e (entity, counts)
  on conflict (peer, entity, direction, hour) do update
  set batches = t.batches + 1, records = t.records + excluded.records, deletes = t.deletes + excluded.deletes, refused = t.refused + excluded.refused;
  select least(
      (select c.decided_at from rowferry.conflicts c order by c.id limit 1),
      (select s.ended_at from rowferry.skips s where s.ended_at is not null order by s.ended_at limit 1)) < v_now - n.retention,
    exists (select from rowferry.links l where l.peer <> p_peer)
  into v_old, v_others
  from rowferry.node n;
  if v_old then
    perform rowferry._prune_logs();
  end if;
  if v_others then
    perform rowferry._cut_others(p_peer, p_events);
  end if;
  if v_id % 1000 = 0 then
    delete from rowferry.batches b where b.id <= v_id - c_most_batches;
    delete from rowferry.traffic t where t.hour < v_now - c_longest;
  end if;
end
$$;
comment on function rowferry._log_batch(text, text, bigint, uuid, bigint, jsonb, integer, integer) is
  'Notes a batch in batches and in traffic, by one statement for each, however many rows it held. Now and then it removes the oldest of both, and with '
  'each batch a few of the oldest conflicts and skips. It also sees to other links that are to be cut.';
