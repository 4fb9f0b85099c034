create or replace function rowferry.remove_outbox()
returns setof text
language plpgsql
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set lock_timeout = '5s'
as $$
declare
  v_link rowferry.links := (select l from rowferry.links l where l.slot is not null);
  v_owner constant oid := (select p.pubowner from pg_publication p where p.pubname = 'rowferry_outbox');
begin
  if v_link.peer is null then
    raise exception using errcode = 'RF002', message = 'this node has no outbox', hint = 'select peer, slot from rowferry.links;';
  end if;
  if not pg_has_role(v_owner, 'usage') then
    raise exception using errcode = '42501', message = 'the publication of the outbox is removed by its owner',
      detail = format('rowferry_outbox belongs to %I; the current role is %I.', pg_get_userbyid(v_owner), current_user),
      hint = format('As %I: select rowferry.remove_outbox(); or as a superuser: grant %1$I to %I;', pg_get_userbyid(v_owner), current_user);
  end if;
  perform rowferry._link_lock(v_link.peer, true);
  lock table rowferry.links in share row exclusive mode;
  if exists (select from rowferry.entities e where e.peer = v_link.peer) then
    raise exception using errcode = 'RF012', message = 'tables are still attached for the outbox',
      detail = format('%s.', (select string_agg(e.name, ', ' order by e.name) from rowferry.entities e where e.peer = v_link.peer)),
      hint = format('select rowferry.detach(name) from rowferry.entities where peer = %L order by id desc;', v_link.peer);
  end if;
  perform rowferry._forget_link(v_link.peer);
  drop publication if exists rowferry_outbox;
  perform nextval('rowferry.stirs');
  return next format('%s is removed', v_link.peer);
  if exists (select from pg_replication_slots s where s.slot_name = v_link.slot) then
    return next format('its slot still keeps the write-ahead log; once Debezium has read the rest and was stopped: select pg_drop_replication_slot(%L);',
      v_link.slot);
  end if;
end
$$;
comment on function rowferry.remove_outbox() is
  'Removes the outbox of this node, its publication and its log, once no table is attached for it. What was written before stays in the log for its slot, '
  'which this function leaves to you.';
