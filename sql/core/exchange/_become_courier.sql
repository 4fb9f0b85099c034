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
  while not pg_try_advisory_lock(v_key) loop
    select min(h.o_object) filter (where not h.o_stranger), string_agg(h.o_object, '; ') filter (where h.o_stranger)
    into o_courier, o_strangers from rowferry._lock_holders(v_key) h;
    exit when o_courier is not null or o_strangers is not null and pg_try_advisory_lock_shared(v_key # 1);
  end loop;
end
$$;
comment on function rowferry._become_courier(text) is
  'Makes this session the courier between this node and p_peer, until it ends: it takes the courier''s lock, and never waits for it. o_courier is the session '
  'or prepared transaction that is the courier already; null means that this session is. Anybody can take an advisory lock; where only strangers have this '
  'one (o_strangers), the session is the courier without it, and holds the lock beside it, shared, as the sign of that.';
