create or replace function rowferry._check_outbox(
  p_peer text
)
returns setof rowferry._finding
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select 'error', 'outbox ' || l.peer, p.o_problem, p.o_next
  from rowferry.links l cross join lateral rowferry._outbox_problem(l) p
  where l.peer = p_peer and p.o_problem is not null
  union all
  select case when u.o_read then 'info' else 'warning' end, 'slot ' || l.slot,
    format('%s, and the server keeps %s of write-ahead log for it%s', case when u.o_read then 'it is read' else 'nobody reads it' end,
      pg_size_pretty(u.o_bytes), case when current_setting('max_slot_wal_keep_size') = '-1' then ', without a bound' else '' end),
    case when u.o_read then 'See whether Debezium keeps up; to set a bound, beyond which the slot is given up: '
        || 'alter system set max_slot_wal_keep_size = ''100GB''; select pg_reload_conf();'
      else format('Start Debezium; or give the slot up, and with it what nobody has read: select pg_drop_replication_slot(%L);', l.slot) end
  from rowferry.links l cross join lateral rowferry._unread_wal(l.slot) u
  where l.peer = p_peer and (not u.o_read or u.o_bytes > 1073741824)
$$;
comment on function rowferry._check_outbox(text) is
  'For check(): why nobody would read what is written to an outbox, and how much of the write-ahead log its slot keeps.';
