create or replace function rowferry._clock_went_back(
  p_link rowferry.links
)
returns rowferry.links
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_now timestamptz := rowferry._now();
  v_longest timestamptz := v_now + interval '20 min';  -- no wait is longer where the clock is right
begin
  if coalesce(greatest(p_link.opened_at, p_link.last_exchange_at) <= v_now + interval '2 s', true)
    and not exists (select from rowferry.held_events h join rowferry.entities e on e.id = h.entity_id and e.peer = p_link.peer
      where h.not_before > v_longest and h.not_before < 'infinity')
    and not exists (select from rowferry.entities e where e.peer = p_link.peer and e.held_until > v_longest and e.held_until < 'infinity') then
    return p_link;
  end if;
  update rowferry.held_events h
  set not_before = v_now, first_at = least(h.first_at, v_now), last_at = least(h.last_at, v_now)
  from rowferry.entities e
  where e.id = h.entity_id and e.peer = p_link.peer and h.not_before > v_longest and h.not_before < 'infinity';
  update rowferry.entities e set held_until = v_now where e.peer = p_link.peer and e.held_until > v_longest and e.held_until < 'infinity';
  update rowferry.backfills b set not_before = v_now from rowferry.entities e where e.id = b.entity_id and e.peer = p_link.peer and b.not_before > v_now;
  update rowferry.comparisons c set not_before = null, sent_at = null where c.peer = p_link.peer and (c.not_before > v_now or c.sent_at > v_now);
  delete from rowferry.breakers b using rowferry.entities e where e.id = b.entity_id and e.peer = p_link.peer and b.since > v_now;
  p_link.opened_at := least(p_link.opened_at, v_now);
  p_link.last_exchange_at := least(p_link.last_exchange_at, v_now);
  p_link.facts_sent_at := null;
  return p_link;
end
$$;
comment on function rowferry._clock_went_back(rowferry.links) is
  'If the clock has been put back by more than a moment, everything that a wrong clock had set to a later time is due now, so that no wait lasts longer than '
  'the wrong clock did.';
