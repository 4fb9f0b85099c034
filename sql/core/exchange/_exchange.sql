create or replace function rowferry._exchange(
  p_peer text,
  p_token text,
  p_envelope bytea,
  p_limit integer,
  p_courier jsonb
)
returns rowferry._answer
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
set plpgsql.extra_errors = none
set lock_timeout = '100ms'
as $$
declare
  v_answer rowferry._answer;
  v_holder text;
  v_before rowferry.links;
  v_last_id bigint;
  v_passed boolean;  -- whether the search for events has anything to walk past
  v_link rowferry.links;
  v_admitted record;
  v_heard record;
  v_aside int8multirange := '{}';
  v_aside_from bigint;
  v_built record;
  v_delivered record;
  v_retired integer := 0;  -- events that left for an outbox
  v_envelope bytea;
  v_sent integer := 0;
  v_rare rowferry._rare;
  v_status text;
  v_reason text;
  v_left int8multirange := '{}';  -- what has left in this call: no search walks past it
begin
  -- Everything that this node sends or acknowledges survives a crash of it. A SET clause would end before the commit.
  if current_setting('synchronous_commit') in ('off', 'local') then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  v_holder := rowferry._link_lock(p_peer, false);
  select l.* into v_before from rowferry.links l where l.peer = p_peer;
  if not found then
    v_before := rowferry._find_link(p_peer);  -- it says what is wrong
  end if;
  if v_holder is not null then
    v_answer := rowferry._answer_of(v_before, 'busy', 'another call for this link is at work, ' || v_holder);
    v_answer.token := null;
    return v_answer;
  end if;
  -- A user who holds a lock may be waiting for us, so a call that lasts waits for no lock itself.
  if rowferry._patient() then
    perform set_config('lock_timeout', case when (select min(l.users_timeout) from rowferry.links l) < interval '4 ms' then '1ms' else '2ms' end, true);
  end if;
  if pg_current_xact_id_if_assigned() is null then
    v_last_id := pg_sequence_last_value('rowferry.events_id_seq');
  end if;
  v_rare := rowferry._rare_things();
  v_admitted := rowferry._admit(v_before, p_token, p_envelope, p_courier, v_rare);
  v_link := v_admitted.o_link;
  v_status := v_admitted.o_status;
  v_reason := v_admitted.o_reason;
  if v_status is null then
    v_heard := rowferry._hear(v_link, v_admitted.o_header, v_admitted.o_sections);
    v_link := v_heard.o_link;
    v_left := v_heard.o_left;
  end if;
  if v_status is null and v_link.stopped_at is not null then
    v_status := 'stopped';
    v_reason := v_link.stopped_reason;
  elsif v_status is null then
    if v_link is distinct from v_before or v_admitted.o_header ? 'facts' then
      v_rare := rowferry._rare_things();
    end if;
    v_passed := v_heard.o_retired > 0;
    if not v_passed and v_last_id - v_link.first_id >= 10000 then
      v_passed := exists (select from rowferry.links o where o.peer <> p_peer) and not rowferry._any_event(p_peer, v_link.first_id, v_left);
    end if;
    if v_passed or v_link.horizon_xid <= pg_snapshot_xmin(pg_current_snapshot()) then
      v_link := rowferry._advance_first_id(v_link, v_last_id, v_left, v_passed);
    end if;
    if v_rare.entities then
      select r.o_ids, r.o_from into v_aside, v_aside_from from rowferry._skip_waiting_runs(p_peer, v_link.first_id) r;
    end if;
    v_built := rowferry._build_envelope(v_link, p_limit, v_link.received <> v_before.received, coalesce((v_admitted.o_header ->> 'hush')::boolean, false),
      v_left + v_aside, v_heard.o_compare, v_rare);
    v_link := v_built.o_link;
    v_sent := v_built.o_sent;
    v_rare := v_built.o_rare;
    if v_built.o_ack is not null then
      v_delivered := rowferry._honour_acks(v_link, jsonb_build_object('acks', jsonb_build_array(v_built.o_ack), 'received', v_link.top,
        'received_tag', v_built.o_ack -> 'tag', 'target_ms', (extract(epoch from current_setting('deadlock_timeout')::interval) * 250)::integer));
      v_link := v_delivered.o_link;
      v_left := v_left + v_delivered.o_left;
      v_retired := v_delivered.o_retired;
      v_rare := case when v_built.o_ack -> 'refusals' = '[]' then v_rare end;
    end if;
    if v_built.o_removed > 0 or v_built.o_ack is not null then
      v_link := rowferry._advance_first_id(v_link, v_last_id, v_left, true);
    end if;
    v_envelope := v_built.o_envelope;
    v_status := case when v_link is distinct from v_before or v_built.o_removed > 0 or v_built.o_compared or v_heard.o_compare is not null
      or v_aside_from is not null then 'moved' else 'idle' end;
  end if;
  if v_link is distinct from v_before then
    -- Progress is what the peer has applied or this node has, not what was built: a link that fails every time is stuck.
    if (v_link.acked, v_link.received) is distinct from (v_before.acked, v_before.received) then
      v_link.last_exchange_at := rowferry._now();
      v_link.courier_error := null;
    end if;
    perform rowferry._save_link(v_link, v_before);
  end if;
  if v_aside_from is not null then
    v_left := v_left + int8multirange(int8range(v_aside_from, null));
  end if;
  v_answer := rowferry._answer_of(v_link, v_status, v_reason, v_left, v_rare);
  if v_admitted.o_status is null then
    v_answer.applied := v_heard.o_applied;
    v_answer.refused := v_heard.o_refused;
    v_answer.conflicts := v_heard.o_conflicts;
    v_answer.retired := v_heard.o_retired + v_retired;
  end if;
  v_answer.envelope := v_envelope;
  v_answer.sent := v_sent;
  v_answer.next_id := coalesce(v_answer.next_id, v_aside_from);
  if v_answer.backfilling > 0 then
    v_answer.progress := rowferry._progress(p_peer);
  end if;
  return v_answer;
end
$$;
comment on function rowferry._exchange(text, text, bytea, integer, jsonb) is
  'The exchange proper. It takes the link''s lock, hears the peer, builds the next envelope, and says where things stand. Reads the link once, and writes it '
  'once if something changed. What is built for an outbox is written there, and so acknowledged, in the same transaction.';
