create or replace function rowferry.add_outbox(
  p_peer text,
  p_slot text default null
)
returns setof text
language plpgsql
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set lock_timeout = '5s'
as $$
declare
  c_publication constant text := 'rowferry_outbox';
  v_slot constant text := coalesce(p_slot, (select l.slot from rowferry.links l where l.peer = p_peer), 'rowferry_' || p_peer);
  v_problem record;
begin
  if not has_database_privilege(current_database(), 'create') and not exists (select from pg_publication p where p.pubname = c_publication) then
    raise exception using errcode = '42501', message = 'an outbox needs a publication, which this role may not create',
      detail = format('The current role is %I.', current_user), hint = format('grant create on database %I to %I;', current_database(), current_user);
  end if;
  lock table rowferry.links in share row exclusive mode;
  if (p_peer ~ '^[a-z][a-z0-9_]{0,30}$' and v_slot ~ '^[a-z0-9_]{1,63}$') is not true then
    raise exception using errcode = 'RF013', message = 'this name cannot be an outbox''s or a slot''s',
      detail = format('%s, %s.', coalesce(p_peer, 'null'), coalesce(v_slot, 'null')),
      hint = 'An outbox has a name like a node: a lower-case letter, then letters, digits, _; a slot has lower-case letters, digits and _.';
  elsif exists (select from rowferry.node n where n.name = p_peer) or exists (select from rowferry.links l where l.peer = p_peer and l.slot is null) then
    raise exception using errcode = 'RF013', message = 'a node has this name already', detail = format('It is %s.', p_peer),
      hint = 'Give the outbox another name: select rowferry.add_outbox(''kafka'');';
  elsif exists (select from rowferry.links l where l.slot is not null and l.peer <> p_peer) then
    raise exception using errcode = 'RF013', message = 'this node has an outbox already',
      detail = format('It is %s.', (select l.peer from rowferry.links l where l.slot is not null)),
      hint = 'One outbox serves any number of readers behind Kafka. To have another one in its place, first: select rowferry.remove_outbox();';
  elsif current_setting('wal_level') <> 'logical' then
    raise exception using errcode = 'RF054', message = 'the server''s log does not hold what Debezium reads',
      detail = format('wal_level is %s.', current_setting('wal_level')),
      hint = 'alter system set wal_level = logical; then restart the server, and call add_outbox() again.';
  elsif exists (select from pg_replication_slots s where s.slot_name = v_slot)
    and not exists (select from pg_publication p where p.pubname = c_publication) then
    raise exception using errcode = 'RF013', message = 'the slot is older than the publication, so it could not be read',
      detail = format('It is %s.', v_slot),
      hint = format('select pg_drop_replication_slot(%L); Debezium makes it anew, once the outbox is there. Or name another one with p_slot.', v_slot);
  end if;
  if not exists (select from pg_publication p where p.pubname = c_publication) then
    execute format('create publication %I for table rowferry.outbox with (publish = ''insert'')', c_publication);
  end if;
  insert into rowferry.links as l (peer, spoke, slot) values (p_peer, p_peer, v_slot)
  -- Nothing has been sent yet through another slot.
  on conflict (peer) do update set slot = excluded.slot, built = 0, top = 0, acked = 0, rest_event_id = null where l.slot <> excluded.slot;
  perform nextval('rowferry.stirs');
  return next format('%s is an outbox: rows go into rowferry.outbox, which publication %s publishes and replication slot %s keeps', p_peer, c_publication,
    v_slot);
  select p.* into v_problem from rowferry.links l cross join lateral rowferry._outbox_problem(l) p where l.peer = p_peer;
  if v_problem.o_problem is not null then
    return next format('events wait in the queue as long as %s. %s', v_problem.o_problem, v_problem.o_next);
  end if;
  return next format('next, for each table: select rowferry.attach(''table'', p_peer => %L); and to send the rows that are there: '
    'select * from rowferry.backfill(''entity'');', p_peer);
end
$$;
comment on function rowferry.add_outbox(text, text) is
  'Adds a peer that is no database: select rowferry.add_outbox(''kafka''); What is attached for it goes into rowferry.outbox, in the columns of Debezium''s '
  'outbox event router. p_slot names the replication slot that Debezium makes and reads (rowferry_kafka); nothing is written before the slot is there. '
  'Called again, it changes the slot. It runs with the caller''s rights: a member of rowferry_owner who may create a publication. See docs/outgrowing.md.';
