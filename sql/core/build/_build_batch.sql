create or replace function rowferry._build_batch(
  p_link rowferry.links,
  p_header jsonb,
  p_limit integer,
  p_applied boolean,
  p_alone boolean,
  p_left int8multirange,
  p_aside integer[],
  p_compare jsonb,
  p_rare rowferry._rare,
  out o_link rowferry.links,
  out o_envelope bytea,
  out o_sent integer,
  out o_removed integer,
  out o_compare jsonb,
  out o_holds boolean,
  out o_ack jsonb
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  c_time constant interval := '0.1 s';
  v_looked integer := p_limit;  -- events read at once: more than p_limit where most of them are left waiting
  v_most_events integer := 1000 + 4 * p_limit;  -- of one entity
  v_began constant timestamptz := clock_timestamp();
  v_batch record;
  v_coalesced boolean := false;
  v_hot boolean;
  v_removed integer;
  v_waiting integer;
  v_scale numeric;
  v_tag constant uuid := gen_random_uuid();
  v_told record;
begin
  o_link := p_link;
  o_sent := 0;
  o_removed := 0;
  o_holds := false;
  -- _read_batch is one statement. Its snapshot, the same for events and rows, holds what was queued just now.
  begin
    loop
      v_batch := rowferry._read_batch(p_link.peer, v_looked, not p_applied, p_link.first_id, p_left, v_coalesced, v_most_events, p_aside, p_rare);
      if not v_batch.o_repeated and v_batch.o_hot_records is null then
        v_waiting := case when v_batch.o_waiting = '[]' then 0 else rowferry._hold_waiting(v_batch.o_waiting) end;
        if v_waiting > 0 then
          o_removed := o_removed + v_waiting;
          -- These rows make room for others. To find more such rows the next look is larger; rows of a larger look are not sent.
          if clock_timestamp() - v_began < c_time then
            v_coalesced := false;
            v_looked := greatest(p_limit, least(v_looked * 2, 2000));
            v_most_events := 1000 + 4 * v_looked;
            if p_rare.backfills then
              perform rowferry._queue_backfill(p_link.peer, v_looked);
            end if;
            continue;
          end if;
          v_batch.o_events := case when v_looked = p_limit then v_batch.o_events else 0 end;
        elsif v_looked > p_limit then
          v_looked := p_limit;
          continue;
        end if;
        if v_batch.o_deletes <> '{}' and rowferry._trip_breakers(p_link.peer, p_link.first_id, v_batch.o_deletes) then
          -- The next call sends the entities that need not wait.
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
        -- If nothing could be removed, the records go with all their events.
        v_most_events := case when v_removed > 0 then v_most_events end;
      end if;
      o_removed := o_removed + v_removed;
      -- If the time is over, or so many events were removed that a search would have to walk past them, the next call goes on.
      exit when v_hot or v_removed > 1000;
    end loop;
    o_compare := case when p_compare is null and not p_rare.comparisons then '{}' else rowferry._compare(p_link, p_compare) end;
    if v_batch.o_events > 0 and p_link.slot is not null then
      o_ack := rowferry._write_outbox(v_batch.o_sections, v_batch.o_ids);
    elsif v_batch.o_events > 0 then
      v_told := rowferry._tell_facts(o_link, true, true, true);
      o_envelope := rowferry._encode(
        p_header || o_compare || jsonb_build_object('number', p_link.top + 1, 'tag', v_tag, 'ids', v_batch.o_ids::text, 'top', p_link.top + 1,
          'built', greatest(p_link.built, p_link.top + 1))
        || jsonb_strip_nulls(jsonb_build_object('facts', v_told.o_facts, 'waiting', case
          when exists (select from generate_subscripts(v_batch.o_sections, 1) i where (v_batch.o_sections[i]).gone is not null)
          then rowferry._waiting_entities(p_link.peer, not v_batch.o_whole or p_aside <> '{}' or v_batch.o_unsendable <> '[]'
            or exists (select from rowferry.built_batches b where b.peer = p_link.peer and b.in_flight)) end)),
        v_batch.o_sections);
    end if;
    o_holds := v_batch.o_unsendable <> '[]';
    if o_holds then
      perform rowferry._hold_entities(v_batch.o_unsendable);
      o_removed := o_removed + (select count(*) from jsonb_array_elements(v_batch.o_unsendable) u where u ? 'patience');
    end if;
  exception
    when query_canceled then
      if not rowferry._hold_slow(p_link.peer, v_looked, not p_applied, p_aside) then
        raise;
      end if;
      select null::bytea, 0, jsonb '{}', true, null::jsonb into o_envelope, o_removed, o_compare, o_holds, o_ack;
      return;
  end;
  if v_batch.o_events > 0 then
    if p_link.slot is null then
      o_link := v_told.o_link;
    else
      o_ack := o_ack || jsonb_build_object('number', p_link.top + 1, 'tag', v_tag,
        'applied_ms', (extract(epoch from clock_timestamp() - v_began) * 1000)::integer);
    end if;
    o_sent := v_batch.o_events;
    o_link.top := p_link.top + 1;
    o_link.built := greatest(p_link.built, o_link.top);
    insert into rowferry.built_batches (peer, tag, number, ids, keys, whole, built_at)
    values (p_link.peer, v_tag, o_link.top, v_batch.o_ids, v_batch.o_keys, v_batch.o_whole or p_limit = 100000 or p_alone and not p_applied, rowferry._now());
    -- Building may take no longer than applying.
    v_scale := (p_header ->> 'target_ms')::numeric / greatest(extract(epoch from clock_timestamp() - v_began) * 1000, 1);
    if v_scale < 1 and v_batch.o_keys <> 1 then
      o_link.batch_limit := greatest(1, least(o_link.batch_limit, (v_batch.o_keys * v_scale)::integer));
    end if;
  end if;
end
$$;
comment on function rowferry._build_batch(rowferry.links, jsonb, integer, boolean, boolean, int8multirange, integer[], jsonb, rowferry._rare) is
  'Reads the next batch of at most p_limit events and makes the envelope with it. o_sent is the number of its events, 0 if nothing can be sent now. Events '
  'that a newer one replaces are removed first, and rows whose parent the peer lacks are held without being tried; then it reads again, for 0.1 s. After a '
  'timeout the record that took the time is held, if it is known. p_header is what every envelope says. p_applied says that this call has applied a batch, '
  'and p_alone that a record that travels alone is due. p_left has the events that were removed from the queue in this call. Entities in p_aside send '
  'nothing now. p_compare is what the peer said about comparisons, and o_compare what this node has to say. o_removed counts the events that were removed '
  'from the queue or wait now. p_rare says which rare things there were, and o_holds whether an event or an entity is held since. If the peer is an '
  'outbox, the batch is written there in place of an envelope, and o_ack is what a peer would have acknowledged.';
