-- Compares what the peer says it has taken with what its acknowledgements said (p_digest, p_events). Where they differ, something was altered or lost that
-- both relied on: noted for audit(), and the next comparison goes on from what the peer says. The link does not stop.
create or replace function rowferry._compare_account(
  p_link rowferry.links,
  p_header jsonb,
  p_digest bigint,
  p_events bigint
)
returns rowferry.links
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  p_link.acked_digest := p_digest;
  p_link.acked_events := p_events;
  p_link.peer_digest := (p_header #>> '{account,digest}')::bigint;
  p_link.peer_events := (p_header #>> '{account,events}')::bigint;
  if (p_link.peer_digest, p_link.peer_events) is distinct from (p_digest, p_events) then
    perform rowferry._note_problem(p_link.peer, 'digest of batches', format(
      'batches %s to %s: by its acknowledgements %s had taken %s events in all, by its own digest others or %s',
      p_link.acked + 1, p_header ->> 'received', p_link.peer, p_events, p_link.peer_events));
    p_link.warning := format('what %s acknowledged is not what it took: select * from rowferry.audit()', p_link.peer);
  end if;
  return p_link;
end
$$;
comment on function rowferry._compare_account(rowferry.links, jsonb, bigint, bigint) is 'Compares what the peer has taken with what it acknowledged.';
revoke all on function rowferry._compare_account(rowferry.links, jsonb, bigint, bigint) from public;
