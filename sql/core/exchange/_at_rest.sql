create or replace function rowferry._at_rest(
  p_peer text,
  p_token text,
  out o_last_id bigint,
  out o_first_due bigint,
  out o_last_due bigint,
  out o_stir bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set lock_timeout = '100ms'
as $$
declare
  c_passed constant integer := 10000;  -- events of other links, before the search begins behind them
  v_written constant boolean := pg_current_xact_id_if_assigned() is not null;
  v_event_id bigint;
  v_stir bigint;
  v_first_id bigint;
  v_version xid;
  v_rests boolean;
begin
  select s.event_id, s.stir, l.first_id, l.xmin, (l.rest_event_id, l.rest_stir) = (s.event_id, s.stir)
  into v_event_id, v_stir, v_first_id, v_version, v_rests
  from rowferry.links l
  cross join (
    select coalesce(pg_sequence_last_value('rowferry.events_id_seq'), 0), coalesce(pg_sequence_last_value('rowferry.stirs'), 0)) s (event_id, stir)
  where l.peer = p_peer and l.token_number || '-' || l.token_random = p_token and l.ready and l.paused_at is null and l.stopped_at is null
    and coalesce(greatest(l.opened_at, l.last_exchange_at) <= rowferry._now() + interval '2 s', true);
  if v_rests then
    o_last_id := v_event_id;
    o_stir := v_stir;
    return;
  end if;
  v_rests := null;
  o_first_due := (
    select e.id from rowferry.events e
    where e.id >= v_first_id and e.entity_id + 0 = any (array(select n.id from rowferry.entities n where n.peer = p_peer)) order by e.id limit 1);
  if o_first_due is not null then
    o_last_due := (select max(e.id) from rowferry.events e);
  elsif v_event_id - v_first_id < c_passed or not exists (select from rowferry.links o where o.peer <> p_peer) then
    select pg_snapshot_xmin(pg_current_snapshot()) = pg_snapshot_xmax(pg_current_snapshot()) into v_rests
    from rowferry.links l
    cross join lateral (select concat(count(*), ' ', max(e.version)) as text from rowferry.entities e where e.peer = l.peer) e
    where l.peer = p_peer and not rowferry._anything_rare(rowferry._rare_things())
      and l.told_paused = '{}' and (l.generation = 1 or l.peer_unsettled = '{}' and l.told_settled = '{}')
      and (l.slot is not null or l.facts_entities = e.text and l.facts_to is null and not l.facts_apart)
      and (l.horizon_xid is null or l.horizon_xid > pg_snapshot_xmin(pg_current_snapshot()))
      and not exists (select from rowferry.taken_batches t where t.peer = l.peer and t.patience > 1);
    o_last_id := case when v_rests is not null then v_event_id end;
  end if;
  if v_rests and not v_written and pg_try_advisory_xact_lock(rowferry._link_key(p_peer)) then
    -- A transaction draws its id before it draws one of these numbers. If all transactions before this one have ended, what they wrote is seen here. Whatever
    -- begins later draws a greater number.
    perform pg_current_xact_id();
    update rowferry.links l set rest_event_id = v_event_id, rest_stir = v_stir, first_id = greatest(l.first_id, v_event_id + 1)
    where l.peer = p_peer and l.xmin = v_version and l.horizon_xid is null and pg_snapshot_xmin(pg_current_snapshot()) = pg_current_xact_id()
      and not rowferry._anything_rare(rowferry._rare_things()) and not rowferry._any_event(p_peer, l.first_id, '{}');
  end if;
end
$$;
comment on function rowferry._at_rest(text, text) is
  'If a link has nothing to do, o_last_id is the last event id given out; else it is null, and o_first_due and o_last_due are the first and the last event '
  'that may be due. Both are null if something else is to be done, or if the token is not the present one. Every call without an envelope begins with this. '
  'Usually it is one statement: the token is the present one, the link is neither paused nor stopped, and neither events nor anything else have begun since a '
  'call found nothing to do. Only a call that finds nothing to do, and no transaction that has written and has not ended, notes that in the link. o_stir is '
  'null until then. Afterwards the link rests as long as both sequences stay at o_last_id and o_stir. Events of other links do not count. So that no look '
  'walks past many of them, a note also moves the place where the search begins, and where there are 10,000 the next exchange moves it.';
