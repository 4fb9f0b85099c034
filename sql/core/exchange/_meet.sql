create or replace function rowferry._meet(
  p_link rowferry.links,
  p_header jsonb
)
returns rowferry.links
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  p_link.peer_generation := (p_header ->> 'generation')::bigint;
  if p_link.peer_identity is not null and p_link.peer_identity ->> 'timeline' <> p_header #>> '{identity,timeline}' then
    p_link.warning := format('%s was promoted from a standby: its timeline went from %s to %s', p_link.peer,
      p_link.peer_identity ->> 'timeline', p_header #>> '{identity,timeline}');
  end if;
  p_link.peer_identity := p_header -> 'identity';
  p_link.peer_unsettled := '{}';
  if p_header ? 'unsettled' then
    p_link.peer_unsettled := array(select n.name from rowferry.entities n where n.peer = p_link.peer and p_header -> 'unsettled' ? n.name order by n.id);
  end if;
  if p_header ? 'settled' then
    update rowferry.entities n set unsettled_since = null where n.peer = p_link.peer and n.unsettled_since is not null and p_header -> 'settled' ? n.name;
  end if;
  -- An entity that the peer has resumed goes on at once.
  if exists (select from rowferry.entities n where n.peer = p_link.peer and n.held_sqlstate = 'RF027' and n.held_until < 'infinity') then
    update rowferry.entities n set held_until = rowferry._now()
    where n.peer = p_link.peer and n.held_sqlstate = 'RF027' and n.held_until > rowferry._now() and n.held_until < 'infinity'
      and not coalesce(p_header -> 'paused' ? n.name, false);
  end if;
  return p_link;
end
$$;
comment on function rowferry._meet(rowferry.links, jsonb) is
  'Notes who the peer is: its identity at the first meeting of a generation, its generation, and a failover since then, which is only a warning. It also '
  'notes which entities the peer has resumed, and which are settled, because all its rows of them have been taken here since resync() or were found equal.';
