create or replace function rowferry._give_up_orphans(
  p_batch rowferry.built_batches,
  p_refusals jsonb
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_orphan record;
begin
  for v_orphan in
    select n.id as entity_id, n.name, q.record_id, range_agg(int8range(q.id, q.id, '[]')) as ids, r ->> 'give_up' as rule, min(r ->> 'message') as message
    from jsonb_array_elements(p_refusals) r
    join rowferry.entities n on n.name = r ->> 'entity'
    cross join lateral (
      select v.id, v.record_id, v.event_type, v.skipped
      from rowferry._queue v
      where v.entity_id = n.id and rowferry._index_key(v.record_id) = rowferry._index_key(r ->> 'record_id') offset 0) q
    where r ? 'give_up' and q.event_type <> 'q' and not q.skipped
    group by n.id, n.name, q.record_id, r ->> 'give_up'
    having bool_and(q.id <@ p_batch.ids)
  loop
    perform rowferry._end_skips(v_orphan.entity_id, array[v_orphan.record_id], 'given up by the orphan rule');
    insert into rowferry.skips (peer, entity_id, entity, record_id, ids, reason, last_error, requested_at, requested_by, may_delete)
    values (p_batch.peer, v_orphan.entity_id, v_orphan.name, v_orphan.record_id, v_orphan.ids,
      case v_orphan.rule when 'drop' then 'its parent was deleted on ' else 'a row refers to it on ' end || p_batch.peer,
      v_orphan.message, rowferry._now(), 'orphan rule ' || v_orphan.rule, true);
  end loop;
end
$$;
comment on function rowferry._give_up_orphans(rowferry.built_batches, jsonb) is
  'Gives up, as skip() does, the changes that the peer''s orphan rule refuses (give_up), unless the record has changed since the batch was built.';
