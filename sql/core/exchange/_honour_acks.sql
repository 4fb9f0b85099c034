create or replace function rowferry._honour_acks(
  p_link rowferry.links,
  p_header jsonb,
  out o_link rowferry.links,
  out o_retired integer,
  out o_left int8multirange
)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  v_ack jsonb;
  v_batch rowferry.built_batches;
  v_heard int8multirange := '{}';
  v_lacking boolean;
  v_conflicts integer;
  v_scale numeric;
  v_parents boolean;
  v_children boolean;
begin
  o_link := p_link;
  o_retired := 0;
  o_left := '{}';
  if p_header -> 'acks' <> '[]' then
    -- Only events that this link has sent can be acknowledged, whatever the peer says.
    v_heard := rowferry._acked_ids(p_header -> 'acks')
      * coalesce((select range_agg(r) from rowferry.built_batches b cross join lateral unnest(b.ids) r where b.peer = p_link.peer), '{}');
    for v_ack in
      select a from jsonb_array_elements(p_header -> 'acks') a where (a ->> 'number')::bigint > p_link.acked order by (a ->> 'number')::bigint
    loop
      select b.* into v_batch
      from rowferry.built_batches b
      where b.peer = p_link.peer and b.tag = (v_ack ->> 'tag')::uuid;
      continue when not found;
      v_lacking := rowferry._hold_refused(v_batch, v_ack -> 'refusals', v_batch.whole or o_link.growth >= 64);
      o_link.growth := case when v_lacking and not v_batch.whole then least(o_link.growth * 4, 256) else 1 end;
      v_conflicts := 0;
      if v_ack -> 'conflicts' <> '[]' then
        v_conflicts := rowferry._conflict_count(v_ack -> 'conflicts');
        perform rowferry._record_conflicts(p_link.peer, p_header ->> 'from', v_ack -> 'conflicts');
      end if;
      perform rowferry._log_batch(p_link.peer, 'sent', v_batch.number, v_batch.tag, rowferry._id_count((v_ack ->> 'ids')::int8multirange),
        coalesce(v_ack -> 'effect', '{}'), v_conflicts, (v_ack ->> 'applied_ms')::integer);
      v_scale := (p_header ->> 'target_ms')::numeric / greatest((v_ack ->> 'applied_ms')::numeric, 1);
      if v_scale < 1 and v_batch.keys > 1 then
        o_link.batch_limit := greatest(1, least(o_link.batch_limit, (v_batch.keys * v_scale)::integer));
      elsif v_scale > 2 and v_batch.keys >= o_link.batch_limit / 2 then
        o_link.batch_limit := least(20000, o_link.batch_limit * least(8, v_scale / 2)::integer);
      end if;
    end loop;
  end if;

  if not isempty(v_heard) then
    select exists (select from rowferry.missing_parents), exists (select from rowferry.held_events h where h.sqlstate = '23503')
    into v_parents, v_children;
    -- A row that was refused because its parent was missing is sent as soon as the parent has arrived there. The parent is there, too, if a row that waited for
    -- it has been taken and has not changed since.
    if v_parents then
      perform rowferry._parents_came(array_agg(c.entity_id), array_agg(c.record_id))
      from (
        select e.entity_id, e.record_id
        from unnest(v_heard) r
        join rowferry.events e on e.id >= lower(r) and e.id < upper(r)
        union
        select h.parent_entity_id, h.parent_record_id
        from unnest(v_heard) r
        cross join lateral (select * from rowferry.held_events v where v.event_id >= lower(r) and v.event_id < upper(r) offset 0) h
        where h.parent_record_id is not null and not exists (select from rowferry.events e
          where e.entity_id = h.entity_id and rowferry._index_key(e.record_id) = rowferry._index_key(h.record_id) and e.id + 0 > h.event_id offset 0)
      ) c;
    end if;
    if v_children then
      perform rowferry._retry_dependents((
        select array_agg(distinct e.entity_id)
        from unnest(v_heard) r
        join rowferry.events e on e.id >= lower(r) and e.id < upper(r)));
    end if;
    if rowferry._any_skip() then
      perform rowferry._skips_overtaken(p_link.peer, v_heard);
    end if;
    o_retired := rowferry._delete_events(v_heard);
    o_left := v_heard;
  end if;

  if (p_header ->> 'received')::bigint > o_link.acked then
    o_link.acked := (p_header ->> 'received')::bigint;
    o_link.acked_tag := (p_header ->> 'received_tag')::uuid;
    o_link.top := greatest(o_link.top, o_link.acked);
    delete from rowferry.built_batches b where b.peer = p_link.peer and b.number <= o_link.acked;
  end if;
  o_link.ready := true;
  if (p_header ->> 'retired')::bigint > 0 then
    delete from rowferry.taken_batches t where t.peer = p_link.peer and t.number <= (p_header ->> 'retired')::bigint;
  end if;
end
$$;
comment on function rowferry._honour_acks(rowferry.links, jsonb) is
  'Honours what the peer says of this node''s batches; the caller has made sure that it may (R5). Events that were taken are removed from the queue, refused '
  'ones are held, conflicts are recorded, and the size of the next batch is set by the time that this one took.';
