create or replace function rowferry._admit(
  p_link rowferry.links,
  p_token text,
  p_envelope bytea,
  p_courier jsonb,
  p_rare rowferry._rare,
  out o_link rowferry.links,
  out o_status text,
  out o_reason text,
  out o_header jsonb,
  out o_sections rowferry._section[]
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_decoded record;
  v_token text[];
  v_problem record;
begin
  o_link := p_link;
  if p_link.paused_at is not null then
    o_status := 'paused';
    o_reason := concat('paused by ', p_link.paused_by);
    return;
  elsif p_link.slot is not null and p_envelope is not null then
    raise exception using errcode = 'RF004', message = 'an outbox sends no envelopes', detail = format('It is %s.', p_link.peer),
      hint = 'Nothing was applied; the worker calls process_batch() without an envelope for this peer.';
  end if;
  if p_link.slot is not null then
    v_problem := rowferry._outbox_problem(p_link);
    if v_problem.o_problem is not null then
      o_status := 'paused';
      o_reason := v_problem.o_problem || '. ' || v_problem.o_next;
      return;
    end if;
  end if;
  if p_token <> p_link.token_number || '-' || p_link.token_random then
    v_token := regexp_match(p_token, E'^(\\d{1,15})-(\\w{1,64})$');
    if v_token is null then
      raise exception using errcode = 'RF003', message = 'a token is a number, a dash and a random word',
        hint = 'The worker makes it: 1 + the highest number on both nodes, which process_batch() without a token returns. '
          'Where that has 15 digits and is near its end: select * from rowferry.resync();';
    elsif (v_token[1]::bigint, v_token[2] collate "C") < (p_link.token_number, p_link.token_random collate "C") then
      o_status := 'superseded';
      o_reason := 'a newer courier has opened the exchange';
      return;
    elsif (v_token[1]::bigint, v_token[2] collate "C") > (p_link.token_number, p_link.token_random collate "C") then
      o_link := rowferry._open(o_link, v_token[1]::bigint, v_token[2], p_courier);
    end if;
    p_token := o_link.token_number || '-' || o_link.token_random;
  end if;
  if p_envelope is not null then
    v_decoded := rowferry._decode(p_envelope);
    o_header := v_decoded.o_header;
    o_sections := v_decoded.o_sections;
    if v_decoded.o_format > 1 then
      o_status := 'stopped';
      o_reason := format('%s speaks format %s of the envelope, this node only 1: run alembic upgrade head here', p_link.peer, v_decoded.o_format);
    elsif o_header ->> 'from' is distinct from p_link.peer or o_header ->> 'to' is distinct from (select n.name from rowferry.node n) then
      raise exception using errcode = 'RF004', message = 'the envelope is for another link',
        detail = format('It goes from %s to %s.', o_header ->> 'from', o_header ->> 'to'),
        hint = 'Check which connection string each node''s environment variable holds; nothing was applied.';
    elsif o_header ->> 'token' is distinct from p_token then
      o_status := 'superseded';
      o_reason := 'the envelope is of another courier';
    else
      -- At most a million at once, so that no envelope leaves the next resync() without a number. A node that is further behind catches up step by step.
      if (o_header ->> 'generation')::bigint > o_link.generation then
        o_link := rowferry._new_generation(o_link, least((o_header ->> 'generation')::bigint, greatest(o_link.generation, o_link.peer_generation) + 1000000));
      end if;
      -- This is noted of a node that was set back too, because people then need to know how far its sequences are.
      if o_header ? 'facts' then
        perform rowferry._note_facts(p_link.peer, o_header -> 'facts');
        if o_header -> 'facts' -> 'behind' ? (o_header ->> 'to') and o_link.stopped_at is null then
          o_link.stopped_at := rowferry._now();
          o_link.stopped_reason := format('the links form a ring: changes of this node would come back to it through %s. '
            'Next, on both nodes of one link of the ring: select rowferry.detach(name) from rowferry.entities where peer = ..; then here: '
            'select * from rowferry.resync(%1$L);', p_link.peer);
        end if;
      end if;
    end if;
  end if;
  if o_status is null and (greatest(o_link.opened_at, o_link.last_exchange_at) > rowferry._now() + interval '2 s' or p_rare.held or p_rare.entities) then
    o_link := rowferry._clock_went_back(o_link);
  end if;
end
$$;
comment on function rowferry._admit(rowferry.links, text, bytea, jsonb, rowferry._rare) is
  'Whether a call may go on: not on a link that is paused, not to an outbox that nobody would read, not with an older token or an envelope of another '
  'courier (o_status says why). A greater token '
  'opens the exchange, and the header of an envelope that is admitted may begin a new generation.';
