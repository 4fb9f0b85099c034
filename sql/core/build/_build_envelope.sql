-- Builds the envelope: acknowledgements always, and the next batch if the peer has been heard and fewer than two are in flight. A large row takes long to
-- read, so it is left to a call that has applied nothing (not p_applied), whose rows users would wait for; and the peer is asked to send nothing meanwhile
-- (p_hushed: this node was asked). p_left: events that have left in this call. p_compare: what the peer said of comparisons; o_compared: this node has said something.
create or replace function rowferry._build_envelope(
  p_link rowferry.links,
  p_limit integer,
  p_applied boolean,
  p_hushed boolean,
  p_left int8multirange,
  p_compare jsonb,
  out o_link rowferry.links,
  out o_envelope bytea,
  out o_sent integer,
  out o_removed integer,
  out o_compared boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
as $$
declare
  c_time constant interval := '0.1 s';
  v_batch record;
  v_most_events integer;  -- of one entity
  v_alone boolean := exists (select from rowferry.held_events)
    and exists (select from rowferry._alone(p_link.peer) a where a.o_allowed and not a.o_flying);
  v_coalesced boolean := false;
  v_hot boolean;
  v_removed integer;
  v_waiting integer;
  v_limit integer;
  v_looked integer;  -- events read at once: more than v_limit where most of them are left waiting
  v_header jsonb;
  v_tag uuid;
  v_began timestamptz := clock_timestamp();
  v_scale numeric;
  v_compare jsonb;  -- null: comparisons have not had their say
  v_entities text;  -- what attach(), detach() and set_rules() have left
  v_waits boolean := false;
  v_look record;  -- at rows that follow those that moved
  v_told record;
  -- Where applying took half of the call's time, building is left to the next one.
  v_late boolean := p_applied and clock_timestamp() > statement_timestamp() + nullif(current_setting('statement_timeout')::interval, '0') / 2;
begin
  o_link := p_link;
  o_sent := 0;
  o_removed := 0;
  v_header := jsonb_build_object(
    'from', (select n.name from rowferry.node n), 'to', p_link.peer, 'token', p_link.token_number || '-' || p_link.token_random,
    'generation', p_link.generation, 'identity', rowferry._database_identity(), 'retired', p_link.acked, 'received', p_link.received,
    'received_tag', p_link.received_tag,
    'acks', (select coalesce(jsonb_agg(jsonb_build_object('number', t.number, 'tag', t.tag, 'ids', t.ids::text, 'refusals', t.refusals,
        'conflicts', t.conflicts, 'applied_ms', t.applied_ms, 'effect', t.effect) order by t.number), '[]')
      from rowferry.taken_batches t where t.peer = p_link.peer),
    'target_ms', (extract(epoch from current_setting('deadlock_timeout')::interval) * 250)::integer,
    'hush', p_applied and v_alone);
  -- The peer tries these again once they are not named any more; until it knows, this call has news.
  select coalesce(array_agg(n.name order by n.id) filter (where n.paused_at is not null), '{}'), concat(count(*), ' ', max(n.version)) into o_link.told_paused, v_entities
  from rowferry.entities n where n.peer = p_link.peer;
  if o_link.told_paused <> '{}' then
    v_header := v_header || jsonb_build_object('paused', o_link.told_paused);
  end if;
  if p_link.generation > 1 then
    v_header := v_header || (
      select case when count(*) = 0 then '{}' else jsonb_build_object('unsettled', array_agg(n.name)) end
      from rowferry.entities n where n.peer = p_link.peer and n.unsettled_since is not null);
    o_link.told_settled := array(
      select n.name from rowferry.entities n where n.peer = p_link.peer and n.unsettled_since is null and n.name = any (p_link.peer_unsettled) order by n.id);
    if o_link.told_settled <> '{}' then
      v_header := v_header || jsonb_build_object('settled', o_link.told_settled);
    end if;
  end if;
  if p_link.ready and not p_hushed and v_late is not true and rowferry._anything_waits(p_link.first_id, p_left)
    and (select count(*) from rowferry.built_batches b where b.peer = p_link.peer and b.in_flight) < 2 then
    v_waits := true;
    perform rowferry._perform_skips(p_link.peer);
    v_limit := greatest(1, least(least(p_limit, p_link.batch_limit)::bigint * p_link.growth, 100000));
    v_looked := v_limit;
    v_most_events := 1000 + 4 * v_limit;
    perform rowferry._look_for_parents(p_link.peer);
    perform rowferry._queue_backfill(p_link.peer, v_limit);
    select * into v_look from rowferry._queue_followers(p_link.peer, v_limit);
    if v_look.o_looked then
      o_removed := o_removed + 1;
      o_link.moved_to := pg_sequence_last_value('rowferry.events_id_seq');
    end if;
    v_late := clock_timestamp() > statement_timestamp() + nullif(current_setting('statement_timeout')::interval, '0') / 2;
    v_began := clock_timestamp();
    -- A statement of its own: its snapshot holds what was queued just now, and is the one for events and rows alike.
    begin
      loop
        if v_look.o_looked and v_late then
          -- The look has taken the time of this call.
          select 0 as o_events, '[]'::jsonb as o_unreadable, '[]'::jsonb as o_large into v_batch;
          exit;
        end if;
        select * into v_batch
        from rowferry._read_batch(p_link.peer, v_looked, not p_applied, p_link.first_id, p_left, v_coalesced, v_most_events, v_look.o_aside);
        if not v_batch.o_repeated and v_batch.o_hot_records is null then
          v_waiting := case when v_batch.o_waiting = '[]' then 0 else rowferry._hold_waiting(v_batch.o_waiting) end;
          if v_waiting > 0 then
            o_removed := o_removed + v_waiting;
            -- They make room for others; a batch that is read with more of them is none to send.
            if clock_timestamp() - v_began < c_time then
              v_coalesced := false;
              v_looked := greatest(v_limit, least(v_looked * 2, 2000));
              v_most_events := 1000 + 4 * v_looked;
              perform rowferry._queue_backfill(p_link.peer, v_looked);
              continue;
            end if;
            v_batch.o_events := case when v_looked = v_limit then v_batch.o_events else 0 end;
          elsif v_looked > v_limit then
            v_looked := v_limit;
            continue;
          end if;
          if v_batch.o_deletes <> '[]' and rowferry._trip_breakers(p_link.peer, p_link.first_id, v_batch.o_deletes) then
            -- The next call builds what is not to wait.
            v_batch.o_events := 0;
            o_removed := o_removed + 1;
          end if;
          exit;
        elsif v_batch.o_repeated then
          v_coalesced := true;
          select c.o_removed, c.o_hot into v_removed, v_hot from rowferry._coalesce(p_link.peer, v_looked, p_link.first_id, p_left) c;
        else
          v_removed := rowferry._coalesce_records(p_link.peer, v_batch.o_hot_entity, v_batch.o_hot_records, v_most_events);
          v_hot := v_removed > 0 and clock_timestamp() - v_began > c_time;
          -- Nothing more to remove: they go as they are.
          v_most_events := case when v_removed > 0 then v_most_events end;
        end if;
        o_removed := o_removed + v_removed;
        -- Out of time for this call, or so much has left that to search here would walk past it: the next one goes on.
        v_hot := v_hot or v_removed > 1000;
        exit when v_hot;
      end loop;
      v_compare := rowferry._compare(p_link, p_compare);
      if v_batch.o_events > 0 then
        v_tag := gen_random_uuid();
        select t.* into v_told from rowferry._tell_facts(o_link, v_entities, true, true, true) t;
        v_header := v_header || jsonb_strip_nulls(jsonb_build_object('facts', v_told.o_facts));
        if exists (select from generate_subscripts(v_batch.o_sections, 1) i where (v_batch.o_sections[i]).gone is not null) then
          v_header := v_header || jsonb_build_object('waiting', rowferry._waiting_entities(p_link.peer, not v_batch.o_whole or v_look.o_aside <> '{}' or v_batch.o_large <> '[]' or v_batch.o_unreadable <> '[]'
            or exists (select from rowferry.built_batches b where b.peer = p_link.peer and b.in_flight)));
        end if;
        o_envelope := rowferry._encode(v_header || v_compare || jsonb_build_object('number', p_link.top + 1, 'tag', v_tag, 'ids', v_batch.o_ids::text,
          'top', p_link.top + 1, 'built', greatest(p_link.built, p_link.top + 1)), v_batch.o_sections);
      end if;
      perform rowferry._hold_entities(v_batch.o_unreadable || v_batch.o_large);
      o_removed := o_removed + jsonb_array_length(v_batch.o_large);
    exception
      when query_canceled then
        if not rowferry._hold_slow(p_link.peer, v_looked, not p_applied, v_look.o_aside) then
          raise;
        end if;
        o_removed := v_look.o_looked::integer;
        select 0 as o_events into v_batch;
        v_compare := '{}';
    end;
    if v_batch.o_events > 0 then
      o_link := v_told.o_link;
      o_sent := v_batch.o_events;
      o_link.top := p_link.top + 1;
      o_link.built := greatest(p_link.built, o_link.top);
      insert into rowferry.built_batches (peer, tag, number, ids, keys, whole, built_at)
      values (p_link.peer, v_tag, o_link.top, v_batch.o_ids, v_batch.o_keys, v_batch.o_whole or v_limit = 100000 or v_alone and not p_applied, rowferry._now());
    end if;
  end if;
  v_compare := coalesce(v_compare, case when p_hushed then '{}' else rowferry._compare(p_link, p_compare) end);
  o_compared := v_compare <> '{}';
  if o_sent = 0 then
    select t.* into v_told from rowferry._tell_facts(o_link, v_entities, false, p_applied, v_waits) t;
    o_link := v_told.o_link;
    v_header := (v_header - 'facts') || jsonb_strip_nulls(jsonb_build_object('facts', v_told.o_facts));
    o_envelope := rowferry._encode(v_header || v_compare || jsonb_build_object('top', o_link.top, 'built', o_link.built), '{}');
  end if;
  -- Building may take no longer than applying.
  v_scale := (v_header ->> 'target_ms')::numeric / greatest(extract(epoch from clock_timestamp() - v_began) * 1000, 1);
  if o_sent > 0 and v_scale < 1 then
    o_link.batch_limit := case when v_batch.o_keys = 1 then o_link.batch_limit
      else greatest(1, least(o_link.batch_limit, (v_batch.o_keys * v_scale)::integer)) end;
  end if;
end
$$;
comment on function rowferry._build_envelope(rowferry.links, integer, boolean, boolean, int8multirange, jsonb) is 'Builds the envelope for the peer.';
