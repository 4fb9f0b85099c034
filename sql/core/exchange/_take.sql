create or replace function rowferry._take(
  p_link rowferry.links,
  p_header jsonb,
  p_sections rowferry._section[],
  out o_link rowferry.links,
  out o_applied integer,
  out o_refused integer,
  out o_conflicts integer
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_began timestamptz := clock_timestamp();
  v_result record;
  v_number bigint := (p_header ->> 'number')::bigint;
  v_tag uuid := (p_header ->> 'tag')::uuid;
  v_effect jsonb;
  v_ms integer;
  v_parents boolean := false;  -- whether rows wait for a parent that the peer lacks
  v_children boolean := false;  -- whether rows were refused because something referred to them, or they to nothing
begin
  perform rowferry._weigh_places(p_link.peer);
  v_result := rowferry._apply_batch(p_link.peer, (p_header ->> 'ids')::int8multirange, p_sections, rowferry._acked_ids(p_header -> 'acks'),
    array(select jsonb_array_elements_text(coalesce(p_header -> 'waiting', '[]'))));
  o_conflicts := 0;
  if v_result.o_conflicts <> '[]' then
    o_conflicts := rowferry._conflict_count(v_result.o_conflicts);
    perform rowferry._record_conflicts(p_link.peer, (select n.name from rowferry.node n), v_result.o_conflicts);
  end if;
  v_effect := rowferry._effect(p_sections, (p_header ->> 'ids')::int8multirange, v_result.o_taken, v_result.o_refusals);
  v_ms := extract(epoch from clock_timestamp() - v_began) * 1000 * least(16, v_result.o_records / greatest(1.0, v_result.o_records - v_result.o_untried));
  insert into rowferry.taken_batches (peer, number, tag, ids, refusals, conflicts, applied_ms, patience, taken_at, effect)
  values (p_link.peer, v_number, v_tag, v_result.o_taken, v_result.o_refusals, v_result.o_conflicts, v_ms,
    least(64, 1 + pg_column_size(v_result.o_conflicts) / 4194304), rowferry._now(), v_effect);
  perform rowferry._log_batch(p_link.peer, 'applied', v_number, v_tag, rowferry._id_count(v_result.o_taken), v_effect, o_conflicts, v_ms);
  if v_result.o_applied > 0 then
    select exists (select from rowferry.missing_parents), exists (select from rowferry.held_events h where h.sqlstate = '23503')
    into v_parents, v_children;
  end if;
  if v_parents then
    perform rowferry._parents_came(array_agg(e.id), array_agg(r.record_id))
    from generate_subscripts(p_sections, 1) i
    join rowferry.entities e on e.name = (p_sections[i]).entity
    cross join lateral unnest((p_sections[i]).event_keys, (p_sections[i]).event_ids) r (record_id, event_id)
    where r.event_id <@ v_result.o_taken;
  end if;
  if v_children then
    perform rowferry._retry_dependents(array(
      select e.id from generate_subscripts(p_sections, 1) i join rowferry.entities e on e.name = (p_sections[i]).entity));
  end if;
  if rowferry._any_skip() then
    perform rowferry._skips_answered(p_link.peer, p_sections, v_result.o_taken, rowferry._acked_ids(p_header -> 'acks'));
  end if;
  o_link := p_link;
  o_link.received := v_number;
  o_link.received_tag := v_tag;
  o_applied := v_result.o_applied;
  o_refused := v_result.o_refused;
end
$$;
comment on function rowferry._take(rowferry.links, jsonb, rowferry._section[]) is
  'Applies the next batch of the peer and notes what was taken of it, for the acknowledgements. The time that it notes is what the batch would have taken if '
  'all of it had been tried (at most 16 times what it took). So if many rows are bad, the sender makes batches of a size that can be tried as a whole.';
