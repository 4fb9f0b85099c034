create or replace function rowferry._note_facts(
  p_peer text,
  p_facts jsonb
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if jsonb_typeof(p_facts -> 'entities') is distinct from 'object' or jsonb_typeof(p_facts -> 'clock') is distinct from 'number'
    or (p_facts ->> 'clock')::numeric not between 0 and 1e11 then
    return;
  end if;
  -- Facts that begin where those of an earlier envelope ended are added to them.
  insert into rowferry.peer_facts as f (peer, facts, heard_at)
  values (p_peer, p_facts, rowferry._now())
  on conflict (peer) do update
  set facts = case when f.facts ->> 'last' = excluded.facts ->> 'after'
      then excluded.facts || jsonb_build_object('entities', f.facts -> 'entities' || (excluded.facts -> 'entities')) else excluded.facts end,
    heard_at = excluded.heard_at;
  update rowferry.links l
  set clock_difference = make_interval(secs => (p_facts ->> 'clock')::float8) - make_interval(secs => extract(epoch from rowferry._now())::float8)
  where l.peer = p_peer;
  update rowferry.entities e set held_until = rowferry._now()
  where e.peer = p_peer and not e.held_here and e.held_sqlstate in ('RF020', 'RF028', 'RF039') and e.held_until > rowferry._now() and e.held_until < 'infinity'
    and p_facts -> 'entities' ? e.name;
end
$$;
comment on function rowferry._note_facts(text, jsonb) is
  'Keeps what the peer says of itself, and how far its clock is from this node''s. Facts of a wrong form are left out, because they are no reason to stop. '
  'What the peer refused as a whole is tried again at once, because its cause may be what has changed there.';
