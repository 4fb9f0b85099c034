-- A courier between the two nodes that selftest() plays: opens the exchange and carries envelopes until both are idle; returns the rounds.
create or replace function rowferry._selftest_sync()
returns integer
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_token constant text := (select max(l.token_number) + 1 || '-selftest' from rowferry.links l where l.peer in ('selftest-left', 'selftest-right'));
  v_left record;
  v_right record;
  v_to_left bytea;
  v_to_right bytea;
begin
  for v_round in 1 .. 20 loop
    select * into v_left from rowferry._selftest_call('left', v_token, v_to_left);
    select * into v_right from rowferry._selftest_call('right', v_token, v_to_right);
    if v_left.o_status = 'idle' and v_right.o_status = 'idle' then
      return v_round;
    end if;
    v_to_left := v_right.o_envelope;
    v_to_right := v_left.o_envelope;
  end loop;
  raise exception using errcode = 'RF018', message = 'the self-test''s exchange does not come to rest', hint = 'select * from rowferry.check();';
end
$$;
comment on function rowferry._selftest_sync() is 'For selftest(): carries envelopes between its two nodes until both are idle.';
revoke all on function rowferry._selftest_sync() from public;
