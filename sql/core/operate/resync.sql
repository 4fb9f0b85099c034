create or replace function rowferry.resync(
  p_peer text default null
)
returns table (
  peer text,
  generation bigint,
  was_stopped_for text,
  pending bigint,
  sequences text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
#variable_conflict use_column
declare
  v_link rowferry.links := rowferry._find_link(p_peer);
  v_before rowferry.links;
  v_identity jsonb := rowferry._database_identity();
  v_was_cut boolean;
begin
  perform rowferry._refuse_outbox(v_link.peer, 'an outbox has no numbers that could begin anew',
    'To send its rows again: select rowferry.backfill(name) from rowferry.entities where peer = ' || quote_literal(v_link.peer) || ';');
  perform rowferry._link_lock(v_link.peer, true);
  v_link := rowferry._find_link(p_peer);
  v_before := v_link;
  was_stopped_for := v_link.stopped_reason;
  v_was_cut := v_link.cut_at is not null;
  v_link.cut_at := null;
  v_link := rowferry._new_generation(v_link, greatest(v_link.generation, v_link.peer_generation) + 1);
  -- This ends the exchange of a worker that is at work: it opens a new one, and the peer hears of the new generation. The number of a token has 15 digits. Near
  -- its end, to which whoever may call process_batch() can take it, it begins again: tokens order the workers of one generation only (R3). An envelope counts
  -- only if its generation is the link's, and there is none of the new generation before a worker has opened it. So a late worker with a higher token finds
  -- nothing of its own.
  v_link.token_number := case when v_link.token_number < 900000000000000 then v_link.token_number + 1 else 0 end;
  v_link.token_random := '';
  perform rowferry._save_link(v_link, v_before);
  -- The other links of this node stop too: whoever serves them would not find out any more.
  update rowferry.links l set stopped_at = coalesce(l.stopped_at, rowferry._now()), stopped_reason = coalesce(l.stopped_reason,
    'this database is not the one that was configured: restored, copied or upgraded by dump. Next: ' || format('select * from rowferry.resync(%L);', l.peer))
  where l.peer <> v_link.peer and l.slot is null and exists (
    select from rowferry.node n where n.system_identifier <> v_identity ->> 'system' or n.database_oid::text <> v_identity ->> 'database');
  update rowferry.node n set system_identifier = v_identity ->> 'system', database_oid = (v_identity ->> 'database')::oid;
  if v_was_cut then
    perform rowferry._readmit(v_link.peer);
  end if;
  peer := v_link.peer;
  generation := v_link.generation;
  pending := (rowferry._counts(v_link.peer, null)).pending;
  sequences := concat_ws(E'\n', (
    select string_agg(format('%s: %s. Next: %s', c.object, c.problem, c.fix), E'\n' order by c.object)
    from rowferry._check_sequences(v_link.peer, was_stopped_for ~ 'this node was set back|this database is not the one') c),
    case when not exists (select from rowferry.peer_facts f
        where f.peer = v_link.peer and not f.facts ? 'last' and (f.heard_at > v_before.stopped_at - interval '1 s' or v_before.stopped_at is null))
      then format('%s has not told of all its tables since; once the two nodes have met again: select * from rowferry.check();', v_link.peer) end);
  return next;
end
$$;
comment on function rowferry.resync(text) is
  'Starts a new generation of a link that stopped: events are kept, numbers begin again, and the peer follows when it hears of it. It does not find what was '
  'lost before: a backfill on the node that lost nothing sends it. Until that has been taken, each row that overwrites another one is noted as a conflict on '
  'both nodes. sequences names those that will draw values which rows have already, each with what to type before users write again, as far as the peer has '
  'told of itself since one of the nodes was set back. After a link was cut, it also begins a comparison of each entity, which makes the peer''s rows equal to '
  'those here once its own changes have come.';
