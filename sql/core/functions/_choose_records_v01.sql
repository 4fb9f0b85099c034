-- The records of the next batch for a peer: those of the oldest events, and a share of those that were refused before and are due again. STABLE, as
-- _read_batch, whose snapshot it sees. o_again: refused before; o_whole: nothing else is free to go; o_cut: others are due too; o_alone: the event of a
-- record that travels alone, and then is the only one. No event below p_first_id waits for its first batch.
create or replace function rowferry._choose_records(
  p_peer text,
  p_limit integer,
  p_alone boolean,
  p_first_id bigint,
  out o_entity_ids integer[],
  out o_record_ids text[],
  out o_again boolean[],
  out o_whole boolean,
  out o_cut boolean,
  out o_alone bigint
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  v_now timestamptz := rowferry._now();
  v_mine integer[] := array(
    select e.id from rowferry.entities e where e.peer = p_peer and (e.held_until is null or e.held_until <= rowferry._now()));
  v_flying int8multirange;
  v_held boolean := exists (select from rowferry.held_events);
  v_skips boolean := exists (select from rowferry.skips s where s.done_at is null);
begin
  select coalesce(range_agg(r), '{}') into v_flying
  from rowferry.built_batches b cross join lateral unnest(b.ids) r
  where b.peer = p_peer and b.in_flight;

  -- A row that is large, or ran out of time, goes alone in a call that may take longer; others go between two of them.
  o_alone := (select a.o_event_id from rowferry._alone(p_peer) a where p_alone and a.o_allowed and not a.o_flying);
  with fresh as (
    select e.id, e.entity_id, e.record_id
    from rowferry.events e
    where e.id >= p_first_id and e.entity_id + 0 = any (v_mine) and not e.id <@ v_flying
      and not (v_held and exists (select from rowferry.held_events h where h.event_id = e.id))
      and not (v_skips and exists (select from rowferry.skips s
        where s.done_at is null and s.entity_id = e.entity_id and s.record_id = e.record_id and e.id <@ s.ids))
    order by e.id
    limit case when o_alone is null then p_limit + 1 else 0 end
  ), share (records) as (
    -- A bad row costs as much as many good ones: few of them while there is a backlog.
    select case when p_limit >= 4 or o_alone is not null or not exists (select from fresh)
      then greatest(1, p_limit / case when (select count(*) from fresh) > p_limit then 32 else 4 end) else 0 end
  ), due as (
    select e.id, e.entity_id, e.record_id, row_number() over (order by h.not_before, h.event_id) as place
    from rowferry.held_events h
    cross join lateral (select e.id, e.entity_id, e.record_id from rowferry.events e where e.id = h.event_id offset 0) e
    where h.not_before <= v_now and e.entity_id = any (v_mine) and not e.id <@ v_flying
      and case when o_alone is null then h.patience is null else h.event_id = o_alone end
      and not exists (select from rowferry.skips s where s.done_at is null and s.entity_id = e.entity_id and s.record_id = e.record_id)
    order by h.not_before, h.event_id
    limit (select records + 1 from share)
  ), retried as (
    select d.id, d.entity_id, d.record_id from due d where d.place <= (select records from share)
  ), chosen as (
    -- Rows that may refer to each other stay together.
    select c.entity_id, c.record_id, bool_and(c.again) and not exists (
        select from rowferry.entities n join pg_constraint f on f.contype = 'f' and f.conrelid = n.relation and f.confrelid = n.relation
        where n.id = c.entity_id) as again
    from (
      select f.id, f.entity_id, f.record_id, false as again from (select * from fresh order by id limit p_limit) f
      union all
      select r.id, r.entity_id, r.record_id, true from retried r
    ) c
    group by c.entity_id, c.record_id
    order by min(c.id)
  )
  select array_agg(c.entity_id), array_agg(c.record_id), array_agg(c.again), (select count(*) from fresh) <= p_limit and o_alone is null,
    (select count(*) from due) > (select records from share)
  into o_entity_ids, o_record_ids, o_again, o_whole, o_cut
  from chosen c;
end
$$;
comment on function rowferry._choose_records(text, integer, boolean, bigint) is 'The records of the next batch for a peer.';
revoke all on function rowferry._choose_records(text, integer, boolean, bigint) from public;
