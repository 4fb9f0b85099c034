create or replace function rowferry._watch(
  p_peer text,
  p_token text,
  p_pause interval,
  out o_last_id bigint,
  out o_first_due bigint,
  out o_last_due bigint,
  out o_noted boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_until constant timestamptz := clock_timestamp() + interval '1 s' - p_pause;
  v_stir bigint;
begin
  loop
    v_stir := pg_sequence_last_value('rowferry.stirs');
    select r.* into o_last_id, o_first_due, o_last_due, o_noted from rowferry._at_rest(p_peer, p_token) r;
    -- A call that has written ends, so that nobody waits for what it has locked.
    exit when o_last_id is null or clock_timestamp() > v_until or pg_current_xact_id_if_assigned() is not null;
    loop
      perform pg_sleep_for(greatest(p_pause, interval '1 ms'));
      exit when not o_noted or clock_timestamp() > v_until
        or coalesce(pg_sequence_last_value('rowferry.events_id_seq'), 0) <> o_last_id or pg_sequence_last_value('rowferry.stirs') is distinct from v_stir;
    end loop;
  end loop;
end
$$;
comment on function rowferry._watch(text, text, interval) is
  'What _at_rest() says, as soon as it says that there is something to do, or after a second. It looks again after each p_pause. Where _at_rest() has noted '
  'that the link rests, comparing two sequences is enough.';
