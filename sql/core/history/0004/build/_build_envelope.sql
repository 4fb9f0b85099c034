create or replace function rowferry._build_envelope(
  p_link rowferry.links,
  p_limit integer,
  p_applied boolean,
  p_hushed boolean,
  p_left int8multirange,
  p_compare jsonb,
  p_rare rowferry._rare,
  out o_link rowferry.links,
  out o_envelope bytea,
  out o_sent integer,
  out o_removed integer,
  out o_compared boolean,
  out o_rare rowferry._rare,
  out o_ack jsonb
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  c_least constant integer := 2000;
  v_alone boolean := false;
  v_half constant interval := nullif(current_setting('statement_timeout')::interval, '0') / 2;
  v_name text;
  v_acks jsonb;
  v_header jsonb;
  v_limit integer;
  v_looked boolean := false;  -- at rows that follow those that moved
  v_aside integer[] := '{}';
  v_built record;
  v_compare jsonb;  -- null: comparisons have not had their say
  v_waits boolean;
  v_holds boolean := false;
  v_told record;
begin
  o_link := p_link;
  o_sent := 0;
  o_removed := 0;
  -- Once an entity is not named as paused any more, the peer sends it again. Until the peer knows that, this call has news.
  o_link.told_paused := '{}';
  if p_rare.entities then
    o_link.told_paused := array(select n.name from rowferry.entities n where n.peer = p_link.peer and n.paused_at is not null order by n.id);
  end if;
  if p_rare.held then
    v_alone := exists (select from rowferry._alone(p_link.peer) a where a.o_allowed and not a.o_flying);
  end if;
  if p_link.generation > 1 then
    o_link.told_settled := array(
      select n.name from rowferry.entities n where n.peer = p_link.peer and n.unsettled_since is null and n.name = any (p_link.peer_unsettled) order by n.id);
  end if;
  select n.name, (
      select coalesce(jsonb_agg(jsonb_build_object('number', t.number, 'tag', t.tag, 'ids', t.ids::text, 'refusals', t.refusals,
        'conflicts', t.conflicts, 'applied_ms', t.applied_ms, 'effect', t.effect) order by t.number), '[]')
      from rowferry.taken_batches t where t.peer = p_link.peer)
  into v_name, v_acks
  from rowferry.node n;
  v_header := jsonb_build_object('from', v_name, 'to', p_link.peer, 'token', p_link.token_number || '-' || p_link.token_random,
    'generation', p_link.generation, 'identity', p_link.identity, 'retired', p_link.acked, 'received', p_link.received,
    'received_tag', p_link.received_tag, 'acks', v_acks, 'target_ms', (extract(epoch from current_setting('deadlock_timeout')::interval) * 250)::integer,
    'hush', p_applied and v_alone);
  if o_link.told_paused <> '{}' then
    v_header := v_header || jsonb_build_object('paused', o_link.told_paused);
  end if;
  if p_link.generation > 1 then
    v_header := v_header || jsonb_strip_nulls(jsonb_build_object(
      'unsettled', (select array_agg(n.name) from rowferry.entities n where n.peer = p_link.peer and n.unsettled_since is not null),
      'settled', nullif(o_link.told_settled, '{}')));
  end if;
  -- If applying took half of the call's time, the next call builds.
  v_waits := p_link.ready and not p_hushed
    and (p_applied and clock_timestamp() > statement_timestamp() + v_half) is not true
    and (rowferry._anything_rare(p_rare) or rowferry._any_event(p_link.peer, p_link.first_id, p_left))
    and (select count(*) from rowferry.built_batches b where b.peer = p_link.peer and b.in_flight) < 2;
  if v_waits then
    v_limit := greatest(1, least(least(p_limit, p_link.batch_limit)::bigint * p_link.growth, 100000));
    if p_limit is null and p_link.growth = 1 then
      -- A short queue goes in parts, so that the peer writes one while this node reads the next.
      v_limit := least(v_limit, greatest(c_least, (pg_sequence_last_value('rowferry.events_id_seq') - p_link.first_id) / 4));
    end if;
    if p_rare.skips then
      perform rowferry._perform_skips(p_link.peer);
    end if;
    if p_rare.missing then
      perform rowferry._look_for_parents(p_link.peer);
    end if;
    if p_rare.backfills then
      perform rowferry._queue_backfill(p_link.peer, v_limit);
    end if;
    if p_rare.moves then
      select l.o_aside, l.o_looked into v_aside, v_looked from rowferry._queue_followers(p_link.peer, v_limit) l;
      if v_looked then
        o_removed := 1;
        o_link.moved_to := pg_sequence_last_value('rowferry.events_id_seq');
      end if;
    end if;
    -- The look may have taken the time of this call.
    if not v_looked or (clock_timestamp() > statement_timestamp() + v_half) is not true then
      v_built := rowferry._build_batch(o_link, v_header, v_limit, p_applied, v_alone, p_left, v_aside, p_compare, p_rare);
      o_link := v_built.o_link;
      o_envelope := v_built.o_envelope;
      o_sent := v_built.o_sent;
      o_removed := o_removed + v_built.o_removed;
      v_compare := v_built.o_compare;
      v_holds := v_built.o_holds;
      o_ack := v_built.o_ack;
    end if;
  end if;
  v_compare := coalesce(v_compare, case when p_hushed or p_compare is null and not p_rare.comparisons then '{}' else rowferry._compare(p_link, p_compare) end);
  o_compared := v_compare <> '{}';
  -- If something rare is at work, or began just now, the caller looks again.
  if not rowferry._anything_rare(p_rare) and o_removed = 0 and not v_holds then
    o_rare := p_rare;
  end if;
  if o_sent = 0 and p_link.slot is null then
    v_told := rowferry._tell_facts(o_link, false, p_applied, v_waits);
    o_link := v_told.o_link;
    v_header := v_header || v_compare || jsonb_strip_nulls(jsonb_build_object('facts', v_told.o_facts, 'top', o_link.top, 'built', o_link.built));
    o_envelope := rowferry._encode(v_header, '{}');
  end if;
end
$$;
comment on function rowferry._build_envelope(rowferry.links, integer, boolean, boolean, int8multirange, jsonb, rowferry._rare) is
  'Builds the envelope for the peer: acknowledgements always, and the next batch if the peer has been heard and fewer than two batches are in flight. A '
  'large row takes long to read. So it is left to a call that has applied nothing (not p_applied), because users would wait for the rows that such a call '
  'has written, and the peer is asked to send nothing in the meantime. p_hushed says that the peer has asked this node for that. p_left has the events that '
  'were removed from the queue in this call. p_compare is what the peer said about comparisons, and o_compared says that this node has said something. '
  'o_removed is more than 0 if the queue has changed. p_rare says which rare things there are, and o_rare which there are afterwards; null: look again. '
  'For an outbox there is no envelope; o_ack is what it has taken.';
