-- The exchange proper, under the link's lock. Reads the link once, writes it once, and only if something changed: an idle call draws no transaction id.
create or replace function rowferry._exchange(
  p_peer text,
  p_token_number bigint,
  p_token_random text,
  p_envelope bytea,
  p_limit integer,
  p_courier jsonb,
  out status text,
  out envelope bytea,
  out applied integer,
  out refused integer,
  out conflicts integer,
  out retired integer,
  out sent integer,
  out pending bigint,
  out held bigint,
  out next_id bigint,
  out last_id bigint,
  out backfilling bigint,
  out patience integer,
  out token text,
  out version integer,
  out reason text,
  out progress jsonb
)
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_variable
declare
  v_before rowferry.links := (select l from rowferry.links l where l.peer = p_peer);
  v_link rowferry.links := v_before;
  v_last_id bigint := case when pg_current_xact_id_if_assigned() is null
    then pg_sequence_last_value(pg_get_serial_sequence('rowferry.events', 'id')::regclass) end;
  v_format integer;
  v_header jsonb;
  v_sections rowferry._section[];
  v_heard record;
  v_built record;
  v_counts record;
  v_compare jsonb;  -- what the peer says of comparisons, where this is its newest envelope
  v_left int8multirange := '{}';  -- what has left in this call: no search walks past it
  v_aside record;
  v_generation bigint;  -- the envelope's
begin
  select null::bigint as o_from into v_aside;
  applied := 0;
  refused := 0;
  conflicts := 0;
  retired := 0;
  sent := 0;
  if v_link.paused_at is not null then
    status := 'paused';
    reason := concat('paused by ', v_link.paused_by);
  elsif (p_token_number, p_token_random collate "C") < (v_link.token_number, v_link.token_random collate "C") then
    status := 'superseded';
    reason := 'a newer courier has opened the exchange';
  else
    if (p_token_number, p_token_random collate "C") > (v_link.token_number, v_link.token_random collate "C") then
      v_link := rowferry._open(v_link, p_token_number, p_token_random, p_courier);
    end if;
    if p_envelope is not null then
      select d.o_format, d.o_header, d.o_sections into v_format, v_header, v_sections from rowferry._decode(p_envelope) d;
      if v_format > 1 then
        status := 'stopped';
        reason := format('%s speaks format %s of the envelope, this node only 1: run alembic upgrade head here', p_peer, v_format);
      elsif v_header ->> 'from' is distinct from p_peer or v_header ->> 'to' is distinct from (select n.name from rowferry.node n) then
        raise exception using errcode = 'RF004', message = 'the envelope is for another link',
          detail = format('It goes from %s to %s.', v_header ->> 'from', v_header ->> 'to'),
          hint = 'Check which connection string each node''s environment variable holds; nothing was applied.';
      elsif v_header ->> 'token' is distinct from p_token_number || '-' || p_token_random then
        status := 'superseded';
        reason := 'the envelope is of another courier';
      else
        v_generation := (v_header ->> 'generation')::bigint;
        if v_generation > v_link.generation then
          -- At most a million at once, so that no envelope leaves the next resync() without a number. A node that is further behind comes nearer with each envelope.
          v_link := rowferry._new_generation(v_link, least(v_generation, greatest(v_link.generation, v_link.peer_generation) + 1000000));
        end if;
      end if;
    end if;
  end if;
  -- Of a node that was set back too: how far its sequences are is just what people need to know then.
  if status is null and v_header ? 'facts' then
    perform rowferry._note_facts(p_peer, v_header -> 'facts');
  end if;
  if status is null and (greatest(v_link.opened_at, v_link.last_exchange_at) > rowferry._now() + interval '2 s'
      or exists (select from rowferry.held_events h where h.not_before > rowferry._now() + interval '20 min' and h.not_before < 'infinity')
      or exists (select from rowferry.entities e where e.held_until > rowferry._now() + interval '20 min' and e.held_until < 'infinity')) then
    v_link := rowferry._clock_went_back(v_link);
  end if;
  if status is null and v_link.stopped_at is null and v_generation <= v_link.generation then
    v_link.stopped_reason := rowferry._check_memory(v_link, v_header);
    if v_link.stopped_reason is not null then
      v_link.stopped_at := rowferry._now();
    elsif v_generation = v_link.generation
      and coalesce((v_header ->> 'number')::bigint, 0) <= v_link.received + 1 then
      v_link := rowferry._meet(v_link, v_header);
      if (v_header ->> 'number')::bigint = v_link.received + 1 then
        -- What users' tables and triggers need is planned as elsewhere, unless a plan for each value would copy a large value, again and again.
        if octet_length(p_envelope) <= 4194304 and not rowferry._patient(false) then
          perform set_config('plan_cache_mode', 'auto', true);
        end if;
        select * into v_heard from rowferry._take(v_link, v_header, v_sections);
        perform set_config('plan_cache_mode', 'force_generic_plan', true);
        v_link := v_heard.o_link;
        applied := v_heard.o_applied;
        refused := v_heard.o_refused;
        conflicts := v_heard.o_conflicts;
      end if;
      if (v_header ->> 'top')::bigint <= v_link.received then
        select * into v_heard from rowferry._honour_acks(v_link, v_header);
        v_link := v_heard.o_link;
        retired := v_heard.o_retired;
        v_left := v_heard.o_left;
        if (v_header ->> 'top')::bigint = v_link.received and (v_header ->> 'received')::bigint = v_link.acked then
          v_compare := v_header -> 'compare';
        end if;
      end if;
    end if;
  end if;
  if status is null and v_link.stopped_at is not null then
    status := 'stopped';
    reason := v_link.stopped_reason;
  end if;
  if status is null then
    if retired > 0 or v_link.horizon_xid <= pg_snapshot_xmin(pg_current_snapshot()) then
      v_link := rowferry._advance_first_id(v_link, v_last_id, v_left, retired > 0);
    end if;
    select * into v_aside from rowferry._skip_waiting_runs(p_peer, v_link.first_id);
    select * into v_built from rowferry._build_envelope(v_link, p_limit, v_link.received <> v_before.received, coalesce((v_header ->> 'hush')::boolean, false),
      v_left + v_aside.o_ids, v_compare);
    v_link := v_built.o_link;
    if v_built.o_removed > 0 then
      v_link := rowferry._advance_first_id(v_link, v_last_id, v_left, true);
    end if;
    envelope := v_built.o_envelope;
    sent := v_built.o_sent;
    status := case when v_link is distinct from v_before or v_built.o_removed > 0 or v_built.o_compared or v_compare is not null or v_aside.o_from is not null
      then 'moved' else 'idle' end;
  end if;
  if v_link is distinct from v_before then
    -- Progress is what the peer has applied or this node has, not what was built: a link that fails every time is stuck.
    if (v_link.acked, v_link.received) is distinct from (v_before.acked, v_before.received) then
      v_link.last_exchange_at := rowferry._now();
      v_link.courier_error := null;
    end if;
    perform rowferry._save_link(v_link, v_before);
  end if;
  if v_aside.o_from is not null then
    v_left := v_left + int8multirange(int8range(v_aside.o_from, null));
  end if;
  select * into v_counts from rowferry._counts(p_peer, 10000, v_left);
  pending := v_counts.pending;
  held := v_counts.held;
  next_id := coalesce(v_counts.next_id, v_aside.o_from);
  last_id := v_counts.last_id;
  backfilling := v_counts.backfilling;
  patience := v_counts.patience;
  if backfilling > 0 then
    progress := rowferry._progress(p_peer);
  end if;
  token := v_link.token_number || '-' || v_link.token_random;
  version := rowferry.version();
end
$$;
comment on function rowferry._exchange(text, bigint, text, bytea, integer, jsonb) is 'The exchange proper, under the link''s lock.';
