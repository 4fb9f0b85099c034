create or replace function rowferry._at_rest(
  p_peer text,
  p_token text
)
returns bigint
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
  return (
    select coalesce(pg_sequence_last_value('rowferry.events_id_seq'), 0)
    from rowferry.links l
    cross join lateral (
      select concat(count(*), ' ', max(e.version)) as text, coalesce(bool_or(e.paused_at is not null or e.held_attempts > 0), false) as held
      from rowferry.entities e
      where e.peer = l.peer
    ) e
    where l.peer = p_peer and p_token = l.token_number || '-' || l.token_random
      and l.ready and l.paused_at is null and l.stopped_at is null
      and not e.held and l.told_paused = '{}' and (l.generation = 1 or l.peer_unsettled = '{}' and l.told_settled = '{}')
      and l.facts_entities = e.text and l.facts_to is null and not l.facts_apart
      and (l.horizon_xid is null or l.horizon_xid > pg_snapshot_xmin(pg_current_snapshot()))
      and coalesce(greatest(l.opened_at, l.last_exchange_at) <= rowferry._now() + interval '2 s', true)
      and not exists (select from rowferry.events v where v.id >= l.first_id)
      and not exists (select from rowferry.held_events)
      and not exists (select from rowferry.missing_parents)
      and not exists (select from rowferry.moves)
      and not exists (select from rowferry.skips s where s.done_at is null)
      and not exists (select from rowferry.backfills b where b.finished_at is null)
      and not exists (select from rowferry.comparisons c where c.state in ('queued', 'walking', 'resolving'))
      and not exists (select from rowferry.taken_batches t where t.peer = l.peer and t.patience > 1)
  );
end
$$;
comment on function rowferry._at_rest(text, text) is
  'If a link has nothing to do, the last event id given out; else null. This is the first look of every call without an envelope, so it is one statement: the '
  'token is the present one, the link is neither paused nor stopped, nothing waits, nothing new is to be told to the peer, and links.first_id need not move.';
