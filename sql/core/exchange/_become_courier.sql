create or replace function rowferry._become_courier(
  p_peer text
)
returns text
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_key bigint := rowferry._courier_lock((select n.name from rowferry.node n), p_peer);
  v_courier text;
  v_strangers bigint := 0;
begin
  while not pg_try_advisory_lock(v_key) loop
    select min(h.o_object) filter (where not h.o_stranger), count(*) filter (where h.o_stranger)
    into v_courier, v_strangers from rowferry._lock_holders(v_key) h;
    if v_courier is not null then
      return v_courier;
    end if;
    exit when v_strangers > 0 and pg_try_advisory_lock_shared(v_key # 1);
  end loop;
  return null;
end
$$;
comment on function rowferry._become_courier(text) is
  'Makes this session the courier between this node and p_peer, until it ends: it takes the courier''s lock, and never waits for it. Null: the session is the '
  'courier; otherwise the session or prepared transaction that is. Anybody can take an advisory lock; where only strangers have this one, the session is the '
  'courier without it, and holds the lock beside it, shared, as the sign of that.';
