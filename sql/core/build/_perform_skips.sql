create or replace function rowferry._perform_skips(
  p_peer text
)
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  v_skip rowferry.skips;
  v_count integer := 0;
  v_asks boolean;
  v_now timestamptz := rowferry._now();
begin
  for v_skip in
    select s.*
    from rowferry.skips s
    where s.peer = p_peer and s.done_at is null
      and not exists (select from rowferry.built_batches b where b.peer = p_peer and b.in_flight and b.ids && s.ids)
    order by s.id
    limit 1000
  loop
    v_asks := (select e.direction <> 'send' and not rowferry._is_outside(e, v_skip.record_id) from rowferry.entities e where e.id = v_skip.entity_id)
      and (v_skip.requested_by like 'orphan rule %' or exists (
        select from unnest(v_skip.ids) i join rowferry.events e on e.id >= lower(i) and e.id < upper(i) where e.event_type <> 'a'));
    if rowferry._delete_events(v_skip.ids) = 0 then
      v_skip.ended_at := coalesce(v_skip.ended_at, v_now);
      v_skip.outcome := coalesce(v_skip.outcome, 'it had gone before it could be given up');
    elsif v_asks then
      insert into rowferry.events (changed_at, entity_id, event_type, record_id)
      values (v_now, v_skip.entity_id, 'q', v_skip.record_id);
    elsif v_skip.ended_at is null then
      -- Nothing is asked in three cases: the entity is only sent; the row is outside of the filter here, so the peer's row could not be written; or all the
      -- events were answers.
      v_skip.kept := true;
      v_skip.outcome := format('%s keeps its row, and this node its own: different on purpose', p_peer);
    end if;
    update rowferry.skips s set done_at = v_now, ended_at = v_skip.ended_at, kept = v_skip.kept, outcome = v_skip.outcome where s.id = v_skip.id;
    v_count := v_count + 1;
  end loop;
  return v_count;
end
$$;
comment on function rowferry._perform_skips(text) is
  'Replaces the events of each skip by a question to the peer, at most 1,000 skips in a call. It waits until none of these events is in flight, because the '
  'peer may be deciding by them (R14). An answer that a person gives up is deleted without a question. An answer exists only because the peer had given up '
  'its own change and asked. If neither node can take the other''s row, asking back would have no end. Returns how many skips were performed.';
