create or replace function rowferry._coalesce(
  p_peer text,
  p_limit integer,
  p_first_id bigint,
  p_left int8multirange,
  out o_removed integer,
  out o_hot boolean
)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  c_time constant interval := '0.1 s';
  v_began timestamptz := clock_timestamp();
  v_mine integer[] := array(
    select e.id from rowferry.entities e where e.peer = p_peer and rowferry._is_free(e));
  v_sent int8multirange := rowferry._sent_ids(p_peer);
  -- If a row follows a parent, only a newer delete replaces a delete, because the peer may have the row although it is outside now.
  v_following integer[] := array(select e.id from rowferry.entities e where e.within is not null);
  v_window integer := p_limit + 1;
  v_looked integer;
  v_ids bigint[];
begin
  o_removed := 0;
  o_hot := false;
  loop
    with looked as materialized (
      select e.id, e.entity_id, e.record_id, rowferry._stamp(e) as stamp, e.entity_id = any (v_following) and e.event_type not in ('i', 'u') as leaves
      from rowferry._sendable_events(v_mine, int8multirange(int8range(p_first_id, 9223372036854775807)) - p_left - v_sent, null) e
      where e.event_type <> 'q' and e.place is null
      limit v_window
    )
    select array_agg(l.id) filter (where l.id not in (
        -- The newest of each record, without sorting. A float8 holds both numbers, which are below 2^53.
        select (max(array[date_part('epoch', n.stamp), n.id]))[2]::bigint from looked n group by n.entity_id, n.record_id, n.leaves)), count(*)
    into v_ids, v_looked
    from looked l;
    exit when v_ids is null or cardinality(v_ids) < v_looked / 2;
    perform rowferry._remove_superseded(v_ids);
    o_removed := o_removed + cardinality(v_ids);
    -- These few records may fill the whole queue: look further.
    exit when v_looked < v_window;
    o_hot := clock_timestamp() - v_began > c_time;
    exit when o_hot;
    v_window := least(v_window * 4, 50000);
  end loop;
end
$$;
comment on function rowferry._coalesce(text, integer, bigint, int8multirange) is
  'Removes events that a newer event of the same record replaces, because the present row is sent anyway. It removes only events that no batch ever held. It '
  'looks through the next events to be sent, and removes the superseded ones if they are half of them, so that a record that changes a million times costs '
  'no more than one that changed once. o_hot says that there were more of them than this call has time for.';
