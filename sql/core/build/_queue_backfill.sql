create or replace function rowferry._queue_backfill(
  p_peer text,
  p_limit integer
)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_backfill record;
  v_keys text[];
  v_first bigint;
  v_last bigint;
  v_queued integer := 0;
  v_state text;
  v_context text;
  v_message text;
  v_entity rowferry.entities;
  v_send text[];
begin
  for v_backfill in
    select b.*, e.name
    from rowferry.backfills b
    join rowferry.entities e on e.id = b.entity_id
    where e.peer = p_peer and b.finished_at is null and rowferry._is_free(e)
      and coalesce(b.not_before <= clock_timestamp(), true)
      and not exists (
        select from rowferry.events v
        where v.id between b.first_event_id and b.last_event_id and v.entity_id = b.entity_id and v.event_type = 'b'
          and not exists (select from rowferry.held_events h where h.event_id = v.id and (h.attempts > 0 or h.parent_record_id is not null))
      )
      and not exists (
        select from rowferry._foreign_keys f
        join rowferry.backfills o on o.entity_id = f.parent_id and o.finished_at is null
        where f.child_id = e.id and f.parent_id <> e.id
          -- In a circle no entity waits for another.
          and not exists (
            with recursive up (id) as (
              select f.parent_id
              union
              select n.parent_id from up u join rowferry._foreign_keys n on n.child_id = u.id
            )
            select from up u where u.id = e.id)
      )
    order by b.requested_at
  loop
    begin
      execute format('select rowferry.%I($1, $2)', rowferry._generated_name('keys_', v_backfill.name)) into v_keys
      using v_backfill.last_key, least(p_limit, v_backfill.rows_per_second);
      perform rowferry._left_nothing();
    exception
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context, v_message = message_text;
        if rowferry._stops_every_table(v_state, v_context) then
          raise;
        end if;
        select e.* into v_entity from rowferry.entities e where e.id = v_backfill.entity_id;
        perform rowferry._hold_entities(jsonb_build_array(rowferry._unreadable_entity(v_entity, v_state, v_message)));
        continue;
    end;
    if v_keys is null then
      update rowferry.backfills b set finished_at = rowferry._now()
      where b.entity_id = v_backfill.entity_id and b.requested_at = v_backfill.requested_at;
      -- The peer has all rows of this node now, but for those that it refuses.
      update rowferry.entities e set unsettled_since = null
      where e.id = v_backfill.entity_id and e.unsettled_since <= v_backfill.requested_at
        and not exists (select from rowferry.held_events h where h.entity_id = e.id and (h.attempts > 0 or h.parent_record_id is not null));
      continue;
    end if;
    v_send := v_keys;
    if rowferry._any_skip(v_backfill.entity_id) then
      -- A record that was given up is not sent before the answer to the question for the peer's row.
      v_send := array(select k from unnest(v_keys) k where not exists (
        select from rowferry.skips s
        where s.entity_id = v_backfill.entity_id and rowferry._index_key(s.record_id) = rowferry._index_key(k) and s.ended_at is null and not s.kept));
    end if;
    with queued as (
      insert into rowferry.events (changed_at, entity_id, event_type, record_id)
      select rowferry._now(), v_backfill.entity_id, 'b', k from unnest(v_send) k
      returning id
    )
    select coalesce(min(id), 0), coalesce(max(id), 0) into v_first, v_last from queued;
    update rowferry.backfills b
    set last_key = v_keys[cardinality(v_keys)], first_event_id = v_first, last_event_id = v_last, queued = b.queued + cardinality(v_keys),
      not_before = clock_timestamp() + cardinality(v_keys) * interval '1 s' / b.rows_per_second
    where b.entity_id = v_backfill.entity_id and b.requested_at = v_backfill.requested_at;
    v_queued := v_queued + cardinality(v_keys);
  end loop;
  return v_queued;
end
$$;
comment on function rowferry._queue_backfill(text, integer) is
  'Queues the next chunk of each backfill once no event of its last chunk is pending, parents before children. Returns the number of rows. An event only '
  'names the key, so a row that changes in the meantime is sent as it is then.';
