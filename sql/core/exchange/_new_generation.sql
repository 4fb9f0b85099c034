create or replace function rowferry._new_generation(
  p_link rowferry.links,
  p_generation bigint
)
returns rowferry.links
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from rowferry.built_batches b where b.peer = p_link.peer;
  delete from rowferry.taken_batches t where t.peer = p_link.peer;
  -- Neither node can tell any more which rows of the other one it has never heard of.
  update rowferry.entities e set unsettled_since = rowferry._now() where e.peer = p_link.peer;
  -- The answer to a skip may have been lost.
  update rowferry.skips s
  set kept = not s.may_delete, ended_at = case when s.may_delete then rowferry._now() end,
    outcome = coalesce(s.outcome, 'a new generation of the link began before the answer came')
  where s.peer = p_link.peer and s.ended_at is null and s.done_at is not null and not s.kept;
  p_link.peer_unsettled := '{}';
  p_link.told_settled := '{}';
  p_link.generation := p_generation;
  p_link.ready := false;
  p_link.built := 0;
  p_link.top := 0;
  p_link.acked := 0;
  p_link.acked_tag := null;
  p_link.received := 0;
  p_link.received_tag := null;
  p_link.first_id := 0;
  p_link.horizon_id := null;
  p_link.horizon_xid := null;
  p_link.peer_identity := null;
  if p_link.cut_at is null then
    p_link.stopped_at := null;
    p_link.stopped_reason := null;
  end if;
  p_link.warning := null;
  return p_link;
end
$$;
comment on function rowferry._new_generation(rowferry.links, bigint) is
  'A link as it is at the start of a generation: all numbers are zero and the memory of batches is gone, but the events are kept. A link that was cut stays '
  'stopped: only resync() here takes its peer in again.';
