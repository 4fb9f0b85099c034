create or replace function rowferry._become_courier(
  p_peer text,
  out o_courier text,
  out o_strangers text
)
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key bigint := rowferry._courier_lock((select n.name from rowferry.node n), p_peer);
begin
  if pg_try_advisory_lock(v_key) then
    return;
  end if;
  select min(h.o_object) filter (where not h.o_stranger), string_agg(h.o_object, '; ') filter (where h.o_stranger)
  into o_courier, o_strangers from rowferry._lock_holders(v_key) h;
  if o_courier is null and o_strangers is not null then
    perform pg_try_advisory_lock_shared(v_key # 1);
  else
    o_courier := coalesce(o_courier, 'a session that has just ended');
  end if;
end
$$;
comment on function rowferry._become_courier(text) is
  'Makes this session the courier between this node and p_peer, until it ends: it takes the courier''s lock, and never waits for it. o_courier is the session '
  'or prepared transaction that has it already; null: this session may go on. Anybody can take an advisory lock; where only strangers have this one '
  '(o_strangers), the session goes on without it, and tries to hold the lock beside it, shared, as the sign of that. The lock only saves work: two couriers '
  'at once are slow, and never wrong.';
