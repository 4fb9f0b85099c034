create or replace function rowferry._outbox_problem(
  p_link rowferry.links,
  out o_problem text,
  out o_next text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  c_publication constant text := 'rowferry_outbox';
  v_slot record;
  v_publications oid[];  -- those that have the outbox
  v_deletes text;  -- a publication of somebody else's, such as one for all tables
begin
  if p_link.slot is null then
    return;
  end if;
  select s.plugin, s.database, s.wal_status, s.confirmed_flush_lsn as begins_at into v_slot from pg_replication_slots s where s.slot_name = p_link.slot;
  v_publications := array(
    select p.oid from pg_publication p where p.puballtables
    union all
    select r.prpubid from pg_publication_rel r where r.prrelid = 'rowferry.outbox'::regclass);
  -- From PostgreSQL 15 on there are publications of whole schemas.
  if to_regclass('pg_publication_namespace') is not null then
    execute 'select $1 || array(select n.pnpubid from pg_publication_namespace n where n.pnnspid = ''rowferry''::regnamespace)'
    into v_publications using v_publications;
  end if;
  select min(p.pubname) into v_deletes
  from pg_publication p
  where p.pubdelete and p.oid = any (v_publications)
    and exists (select from pg_class c where c.oid = 'rowferry.outbox'::regclass and c.relreplident = 'n');
  if current_setting('wal_level') <> 'logical' then
    o_problem := format('wal_level is %s, so no slot can read the outbox', current_setting('wal_level'));
    o_next := 'alter system set wal_level = logical;  -- then restart the server';
  elsif not exists (select from pg_publication p where p.pubname = c_publication) then
    o_problem := format('there is no publication %s', c_publication);
    o_next := format('create publication %s for table rowferry.outbox with (publish = ''insert'');', c_publication);
    -- Before PostgreSQL 18 a slot cannot be read past a time without its publication.
    if v_slot.plugin is not null and current_setting('server_version_num')::integer < 180000 then
      o_next := format('select pg_drop_replication_slot(%L); %s select pg_create_logical_replication_slot(%1$L, ''pgoutput''); and all rows again: '
        'select rowferry.backfill(name) from rowferry.entities where peer = %L;', p_link.slot, o_next, p_link.peer);
    end if;
  elsif not exists (
    select from pg_publication p where p.pubname = c_publication and p.pubinsert and p.oid = any (v_publications)) then
    o_problem := format('publication %s does not publish what is inserted into rowferry.outbox', c_publication);
    o_next := format('alter publication %s set table rowferry.outbox; alter publication %1$s set (publish = ''insert'');', c_publication);
  elsif v_deletes is not null then
    o_problem := format('publication %s publishes what is deleted from rowferry.outbox, and PostgreSQL then refuses the delete', v_deletes);
    o_next := 'alter table rowferry.outbox replica identity full;  -- the log then holds each row twice';
  elsif v_slot.plugin is null and p_link.acked = 0 then
    o_problem := format('there is no replication slot %s yet, so nobody would read what is sent', p_link.slot);
    o_next := format('Start Debezium, which makes the slot; or: select pg_create_logical_replication_slot(%L, ''pgoutput'');', p_link.slot);
  elsif v_slot.plugin is null or v_slot.wal_status = 'lost' then
    o_problem := format('the replication slot %s %s, and with it what nobody had read', p_link.slot,
      case when v_slot.plugin is null then 'is gone' else 'was given up by the server' end);
    o_next := case when v_slot.plugin is null then '' else format('select pg_drop_replication_slot(%L); ', p_link.slot) end
      || format('select pg_create_logical_replication_slot(%L, ''pgoutput''); and once Debezium reads it, all rows again: '
        'select rowferry.backfill(name) from rowferry.entities where peer = %L;', p_link.slot, p_link.peer);
  elsif v_slot.begins_at is null then
    -- The slot can be seen before it has a beginning, and what is written until then would never be read.
    o_problem := format('the replication slot %s is being made, and waits for transactions that were open before', p_link.slot);
    o_next := 'select pid, xact_start, state, query from pg_stat_activity where backend_xid is not null order by xact_start;';
  elsif v_slot.plugin <> 'pgoutput' or v_slot.database <> current_database() then
    o_problem := format('the replication slot %s reads database %s with %s', p_link.slot, v_slot.database, v_slot.plugin);
    o_next := format('select rowferry.add_outbox(%L, p_slot => ..);  -- a slot of its own, which reads database %s with pgoutput', p_link.peer,
      current_database());
  end if;
end
$$;
comment on function rowferry._outbox_problem(rowferry.links) is
  'Why nobody would read what is written to an outbox, and what to do about it; null: all is well, or the peer is a node. As long as there is such a reason, '
  'nothing is written, because what no slot keeps is lost.';
