create or replace function rowferry._watch(
  p_peer text,
  p_token text,
  p_pause interval,
  out o_last_id bigint,
  out o_first_due bigint,
  out o_last_due bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $$
declare
  c_longest constant interval := '0.9 s';  -- so that a server that logs statements of a second does not log these
  v_until constant timestamptz := clock_timestamp() + c_longest;
  v_began timestamptz;
  v_stir bigint;
  v_pause interval;
  v_looks integer;
begin
  loop
    v_began := clock_timestamp();
    select r.o_last_id, r.o_first_due, r.o_last_due, r.o_stir into o_last_id, o_first_due, o_last_due, v_stir from rowferry._at_rest(p_peer, p_token) r;
    -- Looks take a tenth of the time at most.
    v_pause := greatest(p_pause, '1 ms', 10 * (clock_timestamp() - v_began));
    v_looks := extract(epoch from v_until - clock_timestamp()) / extract(epoch from v_pause) - 0.5;
    -- A call that has written ends, so that nobody waits for what it has locked.
    if o_last_id is null or v_looks < 1 or pg_current_xact_id_if_assigned() is not null then
      return;
    end if;
    -- One statement waits and looks again and again: it costs half of what a statement for each look does.
    perform
    from generate_series(1, case when v_stir is null then 1 else v_looks end)
    where case when pg_sleep(extract(epoch from v_pause)::double precision)::text = '' then v_stir is null
      or (coalesce(pg_sequence_last_value('rowferry.events_id_seq'), 0), coalesce(pg_sequence_last_value('rowferry.stirs'), 0)) <> (o_last_id, v_stir) end
    limit 1;
    if not found then
      return;
    end if;
  end loop;
end
$$;
comment on function rowferry._watch(text, text, interval) is
  'What _at_rest() says, as soon as it says that there is something to do, or after 0.9 s. It looks again after each p_pause. Where _at_rest() has noted that '
  'the link rests, comparing two sequences is enough.';
