create or replace function rowferry.process_batch(
  p_peer text default null,
  p_token text default null,
  p_envelope bytea default null,
  p_limit integer default null,
  p_courier jsonb default null,
  p_dry_run boolean default false,
  p_wait interval default null
)
returns table (
  status text,
  envelope bytea,
  applied integer,
  refused integer,
  conflicts integer,
  retired integer,
  sent integer,
  pending bigint,
  held bigint,
  next_id bigint,
  last_id bigint,
  backfilling bigint,
  patience integer,
  token text,
  version integer,
  reason text,
  progress jsonb,
  outbox text
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set jit = off
set plan_cache_mode = force_generic_plan  -- planning for an array of 20,000 keys takes longer than finding them
as $$
declare
  v_rest record;
  v_link rowferry.links;
  v_courier text;
  v_strangers text;
begin
  if pg_trigger_depth() > 0 then
    raise exception using errcode = '42501', message = 'process_batch is not for triggers', hint = 'Only the worker may call it.';
  end if;
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception using errcode = 'RF001', message = 'process_batch needs the isolation level read committed',
      detail = format('The transaction is %s.', current_setting('transaction_isolation')),
      hint = 'begin isolation level read committed;';
  end if;
  if p_envelope is not null then
    perform rowferry._begin_deferred();
  elsif not p_dry_run then
    if p_wait is null then
      v_rest := rowferry._at_rest(p_peer, p_token);
    else
      v_rest := rowferry._watch(p_peer, p_token, p_wait);
    end if;
    if v_rest.o_last_id is not null or p_limit = 0 then
      applied := 0;
      refused := 0;
      conflicts := 0;
      retired := 0;
      sent := 0;
      patience := 1;
      token := p_token;
      version := rowferry.version();
      if v_rest.o_last_id is not null then
        status := 'idle';
        pending := 0;
        held := 0;
        backfilling := 0;
        last_id := case when p_limit is distinct from 0 then v_rest.o_last_id end;
      else
        status := 'due';
        next_id := v_rest.o_first_due;
        last_id := v_rest.o_last_due;
      end if;
      return next;
      return;
    end if;
  end if;
  if p_peer is null or p_token is null then
    v_link := rowferry._find_link(p_peer);
    p_peer := v_link.peer;
  end if;
  if p_token is null and not p_dry_run then
    if p_courier is not null then
      select b.* into v_courier, v_strangers from rowferry._become_courier(p_peer) b;
    end if;
    return query select * from rowferry._answer_of(v_link,
      case when v_courier is not null then 'busy' when v_link.stopped_at is not null then 'stopped' when v_link.paused_at is not null then 'paused'
        else 'idle' end,
      coalesce('the courier is ' || v_courier, v_link.stopped_reason, 'paused by ' || v_link.paused_by,
        case when p_courier is null then 'without a token nothing is done' else v_strangers || ' holds the courier''s lock without the right to be one, '
          'going on without it. Hint: select * from rowferry.why_stuck(); there names who to end' end));
    return;
  end if;
  -- A person's dry run is a call of the present courier.
  p_token := coalesce(p_token, v_link.token_number || '-' || v_link.token_random);
  if p_dry_run then
    return query select * from rowferry._dry_run(p_peer, p_token, p_envelope, p_limit, p_courier);
  else
    return query select * from rowferry._exchange(p_peer, p_token, p_envelope, p_limit, p_courier);
  end if;
end
$$;
comment on function rowferry.process_batch(text, text, bytea, integer, jsonb, boolean, interval) is
  'One step of the exchange with a peer, in one local transaction: it applies the peer''s envelope, removes events of this node that the peer has taken, and '
  'returns the envelope for the peer. Expected outcomes are statuses. Without a token it changes nothing and only returns the state of the link; '
  'with p_courier it then also takes the courier''s lock for this session (busy: another session has it). While there is nothing to do, a call with p_wait '
  'looks again after each p_wait for 0.9 s, and answers as soon as there is something. '
  'docs/design.md lists the steps and the columns.';
