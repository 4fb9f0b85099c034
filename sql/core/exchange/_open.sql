create or replace function rowferry._open(
  p_link rowferry.links,
  p_token_number bigint,
  p_token_random text,
  p_courier jsonb
)
returns rowferry.links
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_last rowferry.built_batches;
  v_began constant timestamptz := clock_timestamp();
  v_identity jsonb := rowferry._database_identity();
  v_first_id bigint;
begin
  if p_courier #>> '{error,sqlstate}' = '57014' and p_courier #>> '{error,node}' = p_link.peer then
    select b.* into v_last
    from rowferry.built_batches b
    where b.peer = p_link.peer and b.in_flight and b.number > p_link.acked
    order by b.number limit 1;
    if v_last.keys = 1 then
      perform rowferry._hold_late(
        array(select e.id from unnest(v_last.ids) i join rowferry.events e on e.id >= lower(i) and e.id < upper(i)),
        false,
        'the other node ran out of time applying this row alone',
        'Look for slow triggers on the other node; a row of many MB needs time: raise deadlock_timeout on both nodes and start the worker again; '
        'then select rowferry.retry(id); or give the change up: select rowferry.skip(id, ''reason'');');
    elsif v_last.keys > 1 then
      p_link.batch_limit := greatest(1, v_last.keys / 2);
      p_link.growth := 1;
      -- _choose_records() puts some rows into one batch whatever the limit is. Other rows are sent before these are tried again.
      update rowferry.held_events h
      set attempts = h.attempts + 1, not_before = rowferry._now() + rowferry._back_off(h.attempts), last_at = rowferry._now(),
        sqlstate = '57014', last_error = 'the other node ran out of time applying this row with those that hold unique values which it wants'
      from unnest(v_last.ids) i
      where h.event_id >= lower(i) and h.event_id < upper(i) and h.holders is not null;
    end if;
  end if;
  update rowferry.built_batches b set in_flight = false where b.peer = p_link.peer and b.in_flight;
  p_link.identity := v_identity;
  p_link.token_number := p_token_number;
  p_link.token_random := p_token_random;
  p_link.ready := p_link.slot is not null;
  p_link.top := p_link.acked;
  p_link.facts_to := null;
  p_link.opened_at := rowferry._now();
  -- Only what is shown of what the courier says of itself, and no more than fits a line: the link's row is read with each call.
  p_link.courier := nullif(jsonb_strip_nulls(jsonb_build_object('host', left(p_courier ->> 'host', 255),
    'pid', case when jsonb_typeof(p_courier -> 'pid') = 'number' and length(p_courier ->> 'pid') < 20 then p_courier -> 'pid' end)), '{}');
  p_link.courier_error := case when jsonb_typeof(p_courier -> 'error') = 'object' then jsonb_build_object('node', left(p_courier #>> '{error,node}', 255),
    'sqlstate', left(p_courier #>> '{error,sqlstate}', 5), 'message', left(p_courier #>> '{error,message}', 2000)) end;
  p_link.users_timeout := rowferry._users_timeout();
  if p_link.courier_error ->> 'node' = p_link.peer then
    p_link := rowferry._cut(p_link);
    while p_link.cut_at is not null and v_first_id is distinct from p_link.first_id and clock_timestamp() < v_began + interval '0.2 s' loop
      v_first_id := p_link.first_id;
      p_link.first_id := rowferry._remove_backlog(p_link.peer, v_first_id, 5000);
    end loop;
  end if;
  if p_link.slot is null and exists (
    select from rowferry.node n where n.system_identifier <> v_identity ->> 'system' or n.database_oid::text <> v_identity ->> 'database') then
    p_link.stopped_at := coalesce(p_link.stopped_at, rowferry._now());
    p_link.stopped_reason := 'this database is not the one that was configured: restored, copied or upgraded by dump. Let nobody write to it until '
      || 'resync() has run and the sequences that it names are moved. If it is to take that one''s place, next on each node that is stopped: '
      || 'select * from rowferry.resync(); and unless nothing was changed since, on the node that is whole: '
      || 'select rowferry.backfill(name) from rowferry.entities where direction <> ''receive''; if it is a copy beside that one, the worker must not serve it';
  end if;
  return p_link;
end
$$;
comment on function rowferry._open(rowferry.links, bigint, text, jsonb) is
  'Opens an exchange for a new courier: batches in flight are forgotten, and nothing is built before the peer has been heard (R3). What the courier says '
  'of the peer''s last error is noted. A batch that ran out of time is built smaller; a record that ran out of time alone gets more, three times, and is '
  'then held (R8). If the courier says that the peer is away, the link may be cut.';
