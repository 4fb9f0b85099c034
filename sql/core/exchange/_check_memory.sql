create or replace function rowferry._check_memory(
  p_link rowferry.links,
  p_header jsonb
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  c_next constant text := '. Next, with no users on a node that was set back: on each node that is stopped: select * from rowferry.resync(); '
    'then move the sequences that it names; then on the node that is whole, and once its rows have arrived on the other one: '
    'select rowferry.backfill(name) from rowferry.entities where direction <> ''receive'';';
  v_received bigint := (p_header ->> 'received')::bigint;
  v_received_tag uuid := (p_header ->> 'received_tag')::uuid;
begin
  if not p_link.ready and (p_header ->> 'generation')::bigint < p_link.peer_generation then
    return format('%s was set back: it speaks in generation %s of the link after %s', p_link.peer, p_header ->> 'generation', p_link.peer_generation) || c_next;
  elsif (p_header ->> 'generation')::bigint < p_link.generation then
    return null;  -- it has not heard of resync() here; what it says of the generation before means nothing now
  elsif p_link.peer_identity is not null
    and p_link.peer_identity - 'timeline' <> (p_header -> 'identity') - 'timeline' then
    return format('%s is another database than before: restored, copied or upgraded by dump', p_link.peer) || c_next;
  elsif v_received > p_link.built or (p_header ->> 'retired')::bigint > p_link.received then
    return format('this node was set back: %s has received more than was ever built here', p_link.peer) || c_next;
  elsif v_received > p_link.acked and not exists (
      select from jsonb_array_elements(p_header -> 'acks') a where (a ->> 'number')::bigint = p_link.acked + 1) then
    return format('this node was set back: it forgot an acknowledgement of %s', p_link.peer) || c_next;
  elsif v_received = p_link.acked and v_received_tag is distinct from p_link.acked_tag
      and not exists (select from rowferry.built_batches b where b.peer = p_link.peer and b.number = v_received and b.tag = v_received_tag)
    or v_received > p_link.acked
      and not exists (select from rowferry.built_batches b where b.peer = p_link.peer and b.number = v_received and b.tag = v_received_tag) then
    return format('%s took a batch from another copy of this node. Stop the copy that is not to go on', p_link.peer) || c_next;
  elsif not p_link.ready and (v_received < p_link.acked or (p_header ->> 'built')::bigint < p_link.received) then
    return format('%s was set back: it remembers less than this node', p_link.peer) || c_next;
  end if;
  return null;
end
$$;
comment on function rowferry._check_memory(rowferry.links, jsonb) is
  'Whether the peer remembers what this node remembers (R13). The result is null if it does; otherwise it says what happened and what to do, in words for '
  'status. It finds backups that were restored, clones, and nodes that lost their latest transactions.';
