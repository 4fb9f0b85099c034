create or replace function rowferry._link_lock(
  p_peer text,
  p_wait boolean
)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_holder record;
begin
  if pg_try_advisory_xact_lock(rowferry._link_key(p_peer)) then
    return null;
  end if;
  select h.* into v_holder from rowferry._lock_holders(rowferry._link_key(p_peer)) h order by h.o_stranger limit 1;
  if v_holder.o_stranger is distinct from true and p_wait then
    declare
      v_timeout text := current_setting('lock_timeout');
    begin
      perform set_config('lock_timeout', '5s', true);
      perform pg_advisory_xact_lock(rowferry._link_key(p_peer));
      perform set_config('lock_timeout', v_timeout, true);
      return null;
    exception
      when lock_not_available then
        select h.* into v_holder from rowferry._lock_holders(rowferry._link_key(p_peer)) h order by h.o_stranger limit 1;
        if v_holder.o_stranger is distinct from true then
          raise exception using errcode = 'RF052', message = 'the link is held by another session',
            detail = format('The lock of the link to %s has been held for 5 s by %s.', p_peer, coalesce(v_holder.o_object, 'one that has gone since')),
            hint = case when v_holder.o_pid = rowferry._courier_at_work((select n.name from rowferry.node n), p_peer)
                then 'Try again: it is a call of the courier, which ends by itself.'
              else coalesce('Try again, or end it: ' || v_holder.o_next, 'Try again.') end;
        end if;
    end;
  elsif v_holder.o_stranger is distinct from true then
    return coalesce(v_holder.o_object, 'one that has gone since');
  end if;
  if p_wait then
    perform from rowferry.links l where l.peer = p_peer for no key update;
  else
    perform from rowferry.links l where l.peer = p_peer for no key update skip locked;
    if not found then
      return 'one that goes without the lock, because a stranger holds it: ' || v_holder.o_object;
    end if;
  end if;
  update rowferry.links l set unlocked = l.unlocked + 1 where l.peer = p_peer;
  return null;
end
$$;
comment on function rowferry._link_lock(text, boolean) is
  'Takes the lock of a link until the transaction ends; returns null, or who holds it. With p_wait it waits for 5 s and then raises RF052. If only strangers '
  'hold the lock, the transaction goes on without it and counts itself in links.unlocked. It then holds the row lock of links until it ends, and '
  '_save_link() refuses every transaction that began before another such transaction ended.';
