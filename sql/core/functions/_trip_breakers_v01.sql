-- Holds entities of which more rows are about to be deleted on the peer than their breaker lets go, until approve(); true if there is one. p_deletes: entities of
-- the batch just read with the number of their records that are gone in it; what was read is then not to be sent. Counted together are the deletes that
-- wait, whatever batch they come in, and those that went since the breaker's window began, as far as the table got no new rows meanwhile. Counting is
-- left out where all events that wait could not be enough; of more than 200,000 every nth is looked at, so that a million deletes cost no more.
create or replace function rowferry._trip_breakers(
  p_peer text,
  p_first_id bigint,
  p_deletes jsonb
)
returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  c_window constant interval := '1 hour';
  c_run constant integer := 50;  -- ids looked at in one scan
  c_runs constant integer := 4000;
  c_keys constant integer := 1000;  -- records of which is looked whether they are gone, or were made and deleted here meanwhile
  v_last_id bigint := pg_sequence_last_value('rowferry.events_id_seq');
  v_now timestamptz := rowferry._now();
  v_skips boolean := exists (select from rowferry.skips s where s.done_at is null);
  v_entry record;
  v_entity rowferry.entities;
  v_breaker record;
  v_first_id bigint;
  v_flying int8multirange;
  v_step bigint;
  v_keys text[];
  v_sample text[];
  v_read record;
  v_gone bigint;
  v_deletes bigint;
  v_here bigint;
  v_rows bigint;
  v_tripped boolean := false;
begin
  for v_entry in
    select d.entity_id, sum(d.deletes)::bigint as deletes
    from jsonb_to_recordset(p_deletes) d (entity_id integer, deletes bigint)
    group by d.entity_id having sum(d.deletes) > 0
  loop
    select e.* into v_entity from rowferry.entities e where e.id = v_entry.entity_id;
    select b.* into v_breaker from rowferry.breakers b where b.entity_id = v_entity.id and b.since > v_now - c_window;
    v_first_id := greatest(p_first_id, v_entity.approved_to + 1);
    continue when v_breaker.deletes + v_last_id - v_first_id + 1 <= v_entity.breaker_share * greatest(v_breaker.rows, v_entity.breaker_rows);

    -- What is in flight has been counted, unless the window begins now.
    v_flying := coalesce((
      select range_agg(r) from rowferry.built_batches b cross join lateral unnest(b.ids) r
      where b.peer = p_peer and b.in_flight and v_breaker.entity_id is not null), '{}');
    v_step := greatest(c_run, (v_last_id - v_first_id + 1) / c_runs);
    v_keys := array(
      select e.record_id
      from generate_series(v_first_id, v_last_id, v_step) g (id)
      cross join lateral (
        select e.record_id
        from rowferry.events e
        where e.id >= g.id and e.id < g.id + c_run and e.entity_id = v_entity.id and e.event_type = 'd' and e.hops = 0 and not e.id <@ v_flying
          and not (v_skips and exists (select from rowferry.skips s
            where s.done_at is null and s.entity_id = e.entity_id and s.record_id = e.record_id and e.id <@ s.ids))
        offset 0) e
      group by e.record_id);
    v_sample := array(
      select v_keys[i] from generate_series(1, cardinality(v_keys), greatest(1, cardinality(v_keys) / c_keys)) i);
    execute format('select * from rowferry.%I($1, -1)', rowferry._object_name('read_', v_entity.name)) into v_read using v_sample;
    v_gone := (
      select count(*)
      from unnest(v_sample) k (record_id)
      where k.record_id <> all (coalesce(v_read.o_keys || v_read.o_cut || v_read.o_large || v_read.o_alone, '{}'))
        and (select e.event_type from rowferry.events e
          where e.record_id = k.record_id and e.entity_id = v_entity.id order by e.id + 0 limit 1) is distinct from 'i');
    v_deletes := cardinality(v_keys) * v_step / c_run * v_gone / greatest(1, cardinality(v_sample));
    execute format('select rowferry.%I()', rowferry._object_name('count_', v_entity.name)) into v_here;
    v_rows := greatest(v_here + v_deletes, v_breaker.rows);
    v_breaker.deletes := least(coalesce(v_breaker.deletes, 0), v_rows - v_here - v_deletes);
    if v_rows >= v_entity.breaker_rows and v_breaker.deletes + v_deletes > v_entity.breaker_share * v_rows then
      v_tripped := true;
      update rowferry.entities e
      set held_attempts = 1, held_until = 'infinity', held_sqlstate = 'RF026',
        held_error = format('%s of about %s rows are to be deleted on %s, more than a share of %s', v_breaker.deletes + v_deletes, v_rows, p_peer,
          e.breaker_share),
        held_hint = format('Let them go: select * from rowferry.approve(%L); or get the rows back from there: select * from rowferry.skip_deletes(%1$L, reason);',
          e.name)
      where e.id = v_entity.id;
    else
      insert into rowferry.breakers as b (entity_id, since, rows, deletes)
      values (v_entity.id, v_now, v_rows, v_breaker.deletes)
      on conflict (entity_id) do update
      set since = coalesce(v_breaker.since, excluded.since), rows = excluded.rows, deletes = excluded.deletes;
    end if;
  end loop;
  if not v_tripped then
    update rowferry.breakers b set deletes = b.deletes + d.deletes
    from jsonb_to_recordset(p_deletes) d (entity_id integer, deletes bigint)
    where b.entity_id = d.entity_id and d.deletes > 0;
  end if;
  return v_tripped;
end
$$;
comment on function rowferry._trip_breakers(text, bigint, jsonb) is 'Holds entities of which too many rows are about to be deleted on the peer.';
revoke all on function rowferry._trip_breakers(text, bigint, jsonb) from public;
