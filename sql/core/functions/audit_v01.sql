-- What has become of every event that was captured for a peer, and whether both nodes' numbers say the same of the batches between them. "there" is what the
-- peer said with its last acknowledgement. STABLE: all is read in one snapshot, so that a busy link shows no false problem.
create or replace function rowferry.audit(
  p_peer text default null
)
returns table (
  peer text,
  what text,
  here bigint,
  there bigint,
  verdict text,
  detail text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_link rowferry.links;
  v_flying bigint;
  v_told record;
  v_pending bigint;
  v_left record;
  v_sum bigint;
  v_skipped bigint;
  v_by_hand boolean;
  v_drawn bigint := coalesce(pg_sequence_last_value(pg_get_serial_sequence('rowferry.events', 'id')::regclass), 0);
  v_entered bigint := coalesce((select sum(l.events) from rowferry.left_events l), 0) + (select count(*) from rowferry.events);
begin
  if p_peer is not null then
    perform rowferry._link(p_peer);
  end if;
  for v_link in select l.* from rowferry.links l where l.peer = coalesce(p_peer, l.peer) order by l.peer loop
    peer := v_link.peer;

    v_flying := (select count(*) from rowferry.built_batches b where b.peer = v_link.peer and b.in_flight and b.number between v_link.acked + 1 and v_link.top);
    what := format('batches sent; taken by %s', v_link.peer);
    here := v_link.top;
    there := v_link.acked;
    verdict := case when v_flying <> here - there then 'problem' when here > there then 'waits' else 'ok' end;
    detail := case when v_flying <> here - there then format('%s are on their way, but built_batches knows of %s', here - there, v_flying) end;
    return next;

    what := format('digest of batches 1 to %s', v_link.acked);
    here := v_link.acked_digest;
    there := v_link.peer_digest;
    verdict := case when here = there then 'ok' else 'problem' end;
    detail := 'number, tag and events of each: as acknowledged to this node; as the peer took them';
    return next;

    what := format('events that %s took in them', v_link.peer);
    here := v_link.acked_events;
    there := v_link.peer_events;
    verdict := case when here = there then 'ok' else 'problem' end;
    detail := 'an event that went in two batches counts twice';
    return next;

    select count(*) as count, min(t.number) as first, max(t.number) as last into v_told from rowferry.taken_batches t where t.peer = v_link.peer;
    what := format('batches taken from %s; acknowledgement heard there', v_link.peer);
    here := v_link.received;
    there := v_link.received - v_told.count;
    verdict := case when v_told.count = 0 then 'ok' when v_told.last = v_link.received and v_told.last - v_told.first + 1 = v_told.count then 'waits' else 'problem' end;
    detail := case when verdict = 'problem' then 'an acknowledgement is missing in taken_batches' end;
    return next;

    there := null;
    v_skipped := (select coalesce(sum(rowferry._id_count(s.ids)), 0) from rowferry.skips s where s.peer = v_link.peer and s.done_at is not null);
    -- Once looked at, they are a number like the others.
    v_by_hand := exists (select from rowferry.audit_problems a where a.peer = v_link.peer and a.what = 'events removed by hand');
    v_sum := 0;
    for v_left in
      select c.place, c.cause, coalesce(l.events, 0) as events, c.said
      from (values
        (1, 'taken', 'by the peer'),
        (2, 'lost', 'to a change of the peer: select * from rowferry.conflicts'),
        (3, 'skipped', 'select * from rowferry.skips'),
        (4, 'coalesced', 'a newer event of the same record says all'),
        (5, 'detached', 'detach(.., p_force => true)'),
        (6, 'by hand', 'removed by no function of rowferry')) c (place, cause, said)
      left join rowferry.left_events l on l.peer = v_link.peer and l.cause = c.cause
      union all
      select 7, l.cause, l.events, 'removed by the function of this name'
      from rowferry.left_events l
      where l.peer = v_link.peer and l.cause not in ('taken', 'lost', 'skipped', 'coalesced', 'detached', 'by hand')
      order by place, cause
    loop
      what := 'events ' || v_left.cause;
      here := v_left.events;
      verdict := case when v_left.cause = 'by hand' and v_by_hand or v_left.cause = 'skipped' and here > v_skipped then 'problem' else 'ok' end;
      detail := case when v_left.cause = 'skipped' and here > v_skipped then format('skips has a reason for %s only', v_skipped) else v_left.said end;
      v_sum := v_sum + here;
      return next;
    end loop;

    v_pending := (select count(*) from rowferry.events e join rowferry.entities n on n.id = e.entity_id where n.peer = v_link.peer);
    what := 'events pending';
    here := v_pending;
    verdict := case when here = 0 then 'ok' else 'waits' end;
    detail := case when here > 0 then 'select * from rowferry.sync_events' end;
    return next;

    what := 'events captured: all of these';
    here := v_sum + v_pending;
    verdict := case when v_entered <= v_drawn then 'ok' else 'problem' end;
    detail := format('%s ids were drawn here for %s events of all links; the others went with transactions that rolled back', v_drawn, v_entered);
    return next;

    what := 'events that leave are counted';
    here := (
      select count(*)
      from pg_trigger t
      where t.tgrelid = 'rowferry.events'::regclass and t.tgfoid = 'rowferry._count_left()'::regprocedure and t.tgenabled = 'A');
    verdict := case here when 2 then 'ok' else 'problem' end;
    detail := case when here < 2 then 'a trigger on rowferry.events is disabled or gone: what left meanwhile is in no sum' else 'by two triggers on rowferry.events' end;
    return next;

    for v_told in select a.* from rowferry.audit_problems a where a.peer = v_link.peer order by a.first_at loop
      what := v_told.what;
      here := v_told.times;
      verdict := 'problem';
      detail := format('%s; first %s, last %s. Once looked at: delete from rowferry.audit_problems where what = %L', v_told.detail,
        to_char(v_told.first_at, 'YYYY-MM-DD HH24:MI:SS'), to_char(v_told.last_at, 'YYYY-MM-DD HH24:MI:SS'), v_told.what);
      return next;
    end loop;
    if v_link.peer_problems > 0 then
      what := format('problems that %s has noted', v_link.peer);
      here := null;
      there := v_link.peer_problems;
      verdict := 'problem';
      detail := format('on %s: select * from rowferry.audit()', v_link.peer);
      return next;
    end if;
  end loop;
end
$$;
comment on function rowferry.audit(text) is 'What has become of every event that was captured, and whether both nodes'' numbers say the same; look at verdict: ok, waits, problem.';
revoke all on function rowferry.audit(text) from public;
