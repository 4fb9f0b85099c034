-- A new courier: what was in flight is forgotten, and nothing is built before the peer has been heard (R3). What the courier says of the
-- peer's last error is noted; a batch that ran out of time is built smaller, and a record that did so three times alone is held (R8).
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
  v_identity jsonb := rowferry._identity();
begin
  if p_courier #>> '{error,sqlstate}' = '57014' and p_courier #>> '{error,node}' = p_link.peer then
    select b.* into v_last
    from rowferry.built_batches b
    where b.peer = p_link.peer and b.in_flight and b.number > p_link.acked
    order by b.number limit 1;
    if v_last.keys = 1 then
      insert into rowferry.held_events as h (event_id, entity_id, record_id, attempts, not_before, sqlstate, last_error, hint, first_at, last_at)
      select e.id, e.entity_id, e.record_id, 1, rowferry._now(), '57014', 'the other node ran out of time applying this row alone',
        'Look for slow triggers or locks on the other node; a row of many MB needs more time: raise deadlock_timeout on both nodes and start the worker again; then select rowferry.retry(id); or give the change up: select rowferry.skip(id, reason);',
        rowferry._now(), rowferry._now()
      from unnest(v_last.ids) i
      join rowferry.events e on e.id >= lower(i) and e.id < upper(i)
      on conflict (event_id) do update
      set attempts = h.attempts + 1, sqlstate = '57014', last_error = excluded.last_error, hint = excluded.hint, last_at = excluded.last_at,
        not_before = rowferry._now() + case when h.attempts >= 2 then interval '5 min' else interval '0' end;
    elsif v_last.keys > 1 then
      p_link.batch_limit := greatest(1, v_last.keys / 2);
      p_link.growth := 1;
    end if;
  end if;
  update rowferry.built_batches b set in_flight = false where b.peer = p_link.peer and b.in_flight;
  p_link.token_number := p_token_number;
  p_link.token_random := p_token_random;
  p_link.ready := false;
  p_link.top := p_link.acked;
  p_link.opened_at := rowferry._now();
  p_link.courier := p_courier - 'error';
  p_link.courier_error := p_courier -> 'error';
  if exists (select from rowferry.node n where n.system_identifier <> v_identity ->> 'system' or n.database_oid::text <> v_identity ->> 'database') then
    p_link.stopped_at := coalesce(p_link.stopped_at, rowferry._now());
    p_link.stopped_reason := 'this database is not the one that was configured: restored, copied or upgraded by dump. If it is to take that one''s '
      || 'place, next on each node that is stopped: select * from rowferry.resync(); if it is a copy beside that one, the worker must not serve it';
  end if;
  return p_link;
end
$$;
comment on function rowferry._open(rowferry.links, bigint, text, jsonb) is 'Opens an exchange for a new courier.';
revoke all on function rowferry._open(rowferry.links, bigint, text, jsonb) from public;
