create or replace function rowferry._unread_wal(
  p_slot text,
  out o_bytes bigint,
  out o_read boolean
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select (case when not pg_is_in_recovery() then pg_current_wal_lsn() end - s.restart_lsn)::bigint, s.active
  from pg_replication_slots s
  where s.slot_name = p_slot
$$;
comment on function rowferry._unread_wal(text) is
  'How many bytes of the write-ahead log the server keeps for a replication slot, and whether anybody reads it; null: there is no such slot.';
