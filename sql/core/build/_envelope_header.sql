create or replace function rowferry._envelope_header(
  p_link rowferry.links,
  p_hush boolean
)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return jsonb_build_object(
      'from', (select n.name from rowferry.node n), 'to', p_link.peer, 'token', p_link.token_number || '-' || p_link.token_random,
      'generation', p_link.generation, 'identity', rowferry._database_identity(), 'retired', p_link.acked, 'received', p_link.received,
      'received_tag', p_link.received_tag,
      'acks', (select coalesce(jsonb_agg(jsonb_build_object('number', t.number, 'tag', t.tag, 'ids', t.ids::text, 'refusals', t.refusals,
          'conflicts', t.conflicts, 'applied_ms', t.applied_ms, 'effect', t.effect) order by t.number), '[]')
        from rowferry.taken_batches t where t.peer = p_link.peer),
      'target_ms', (extract(epoch from current_setting('deadlock_timeout')::interval) * 250)::integer,
      'hush', p_hush)
    || jsonb_strip_nulls(jsonb_build_object(
      'paused', nullif(p_link.told_paused, '{}'),
      'unsettled', (select array_agg(n.name) from rowferry.entities n where p_link.generation > 1 and n.peer = p_link.peer and n.unsettled_since is not null),
      'settled', case when p_link.generation > 1 then nullif(p_link.told_settled, '{}') end));
end
$$;
comment on function rowferry._envelope_header(rowferry.links, boolean) is
  'What the header of each envelope says: who sends to whom in which exchange, the batches that were received with what became of them, and the entities '
  'that are paused, or unsettled since resync(). p_hush: the peer is asked to send nothing for once.';
