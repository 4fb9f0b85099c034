-- Holds entities of which more rows are about to be deleted on the peer than their breaker lets go, until approve(); true if there is one. p_deletes: entities of
-- the batch just read with the number of their records that are gone in it; what was read is then not to be sent. Counted together are the deletes that
-- wait, whatever batch they come in, and those that went since the breaker's window began, as far as the table got no new rows meanwhile. Counting is
-- left out where all events that wait could not be enough; and the table's rows are counted no further than what four times these deletes would need, since
-- nothing that the catalog estimates is right for rows that have just been deleted, or for those of a filter.
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
  c_exact constant integer := 200000;  -- so many events are looked at record by record
  c_counted constant integer := 1000000;  -- so many deletes are counted
  c_run constant integer := 50;  -- ids looked at in one scan where it is estimated
  c_rows constant integer := 100000;  -- so many rows are counted whatever the deletes
  v_last_id bigint := pg_sequence_last_value('rowferry.events_id_seq');
  v_now timestamptz := rowferry._now();
  v_skips boolean := exists (select from rowferry.skips s where s.done_at is null);
  v_entry record;
  v_entity rowferry.entities;
  v_share numeric;  -- 0.7 as it prints: as real it is a little less
  v_breaker record;
  v_first_id bigint;
  v_types "char"[];
  v_flying int8multirange;
  v_new bigint;
  v_ids int8multirange;
  v_every bigint;
  v_deletes bigint;
  v_most bigint;
  v_here bigint;
  v_rows bigint;
  v_tripped boolean := false;
  v_state text;
  v_context text;
  v_message text;
begin
  for v_entry in
    with recursive deleted (entity_id, deletes) as (
      select d.entity_id, sum(d.deletes)::bigint
      from jsonb_to_recordset(p_deletes) d (entity_id integer, deletes bigint)
      group by d.entity_id having sum(d.deletes) > 0
    ), taken (entity_id) as (
      select d.entity_id from deleted d
      union
      -- A foreign key there takes them along.
      select f.child_id from taken t join rowferry._foreign_keys f on f.parent_id = t.entity_id and f.child_peer = f.parent_peer and f.on_delete = 'c'
    )
    select t.entity_id, coalesce(d.deletes, 0) as deletes from taken t left join deleted d on d.entity_id = t.entity_id
  loop
    select e.* into v_entity from rowferry.entities e where e.id = v_entry.entity_id;
    continue when v_entity.breaker_share is null or v_entity.held_sqlstate = 'RF026';
    v_share := v_entity.breaker_share;
    -- Only of what follows a parent, or is followed, may an update or a move come after a delete: the row is within again.
    v_types := case when v_entity.within is not null or rowferry._is_followed(v_entity) then '{d,i,u,w}'::"char"[] else '{d,i}' end;
    select b.* into v_breaker from rowferry.breakers b where b.entity_id = v_entity.id and b.since > v_now - c_window;
    v_first_id := greatest(p_first_id, v_entity.approved_to + 1);
    continue when v_first_id > v_last_id;
    continue when v_breaker.deletes + v_last_id - v_first_id + 1 <= v_share * greatest(v_breaker.rows, v_entity.breaker_rows);

    -- What is in flight has been counted, unless the window begins now.
    v_flying := coalesce((
      select range_agg(r) from rowferry.built_batches b cross join lateral unnest(b.ids) r
      where b.peer = p_peer and b.in_flight and v_breaker.entity_id is not null), '{}');
    v_ids := int8multirange(int8range(v_first_id, v_last_id, '[]')) - coalesce((
      select range_agg(i) from rowferry.waiting_runs w cross join lateral unnest(w.ids) i where w.entity_id <> v_entity.id), '{}');
    if (select count(*) from (select from rowferry.events e where e.id >= lower(v_ids) and e.id < upper(v_ids) limit c_exact + 1) l) <= c_exact then
      -- Record by record: one that is new here and gone again is no loss, nor is one that was made again.
      select count(*) filter (where k.known and k.gone), count(*) filter (where k.made and not k.known and not k.gone) into v_deletes, v_new
      from (
        select coalesce(min(e.id) filter (where e.event_type = 'd') < min(e.id) filter (where e.event_type = 'i'), bool_or(e.event_type = 'd')) as known,
          coalesce(max(e.id) filter (where e.event_type = 'd') > max(e.id) filter (where e.event_type <> 'd'), bool_or(e.event_type = 'd')) as gone, bool_or(e.event_type = 'i') as made
        from unnest(v_ids) r
        cross join lateral (
          select e.id, e.event_type, e.record_id
          from rowferry.events e
          where e.id >= lower(r) and e.id < upper(r) and e.entity_id = v_entity.id and e.event_type = any (v_types) and e.hops = 0 and not e.id <@ v_flying
            and not (v_skips and exists (select from rowferry.skips s
              where s.done_at is null and s.entity_id = e.entity_id and rowferry._index_key(s.record_id) = rowferry._index_key(e.record_id) and e.id <@ s.ids))
          offset 0) e
        group by e.record_id
      ) k;
    else
      -- A long queue: its deletes are counted in their own index. Only if they could be enough, each insert makes up for one, and these are estimated, as are deletes beyond the
      -- most that are counted, by every nth run of ids.
      v_new := 0;
      v_deletes := (
        select count(*)
        from (
          select from rowferry.events e
          where e.entity_id = v_entity.id and e.event_type = 'd' and e.hops = 0 and e.id >= lower(v_ids) and e.id < upper(v_ids) and e.id <@ v_ids and not e.id <@ v_flying
            and not (v_skips and exists (select from rowferry.skips s
              where s.done_at is null and s.entity_id = e.entity_id and rowferry._index_key(s.record_id) = rowferry._index_key(e.record_id) and e.id <@ s.ids))
          limit c_counted) d);
      if coalesce(v_breaker.deletes, 0) + v_deletes > v_share * greatest(v_breaker.rows, v_entity.breaker_rows) then
        v_every := ceil((upper(v_ids) - lower(v_ids))::numeric / c_exact);
        select greatest(0, greatest(v_deletes, case when v_deletes = c_counted then v_every * count(*) filter (where e.event_type = 'd') end) - v_every * count(*) filter (where e.event_type = 'i'))
        into v_deletes
        from generate_series(lower(v_ids), upper(v_ids) - 1, c_run * v_every) s
        cross join lateral (
          select e.event_type
          from rowferry.events e
          where e.id >= s and e.id < s + c_run and e.entity_id = v_entity.id and e.event_type in ('d', 'i') and e.hops = 0 and e.id <@ v_ids and not e.id <@ v_flying
          offset 0) e;
      end if;
    end if;
    v_most := v_new + greatest(c_rows, ceil(4 * (coalesce(v_breaker.deletes, 0) + v_deletes) / greatest(v_share, 0.001)));
    begin
      execute format('select rowferry.%I($1)', rowferry._generated_name('count_', v_entity.name)) into v_here using v_most;
      perform rowferry._left_nothing();
    exception
      -- A table that cannot be counted waits by itself, if rows of it are deleted; what a cascade would take of it cannot be judged.
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context, v_message = message_text;
        if rowferry._stops_every_table(v_state, v_context) then
          raise;
        end if;
        if v_entry.deletes > 0 then
          v_tripped := true;
          perform rowferry._hold_entities(jsonb_build_array(rowferry._unreadable_entity(v_entity, v_state, v_message)));
        end if;
        continue;
    end;
    v_breaker.deletes := coalesce(v_breaker.deletes, 0);
    if v_breaker.all_counted is not false then
      v_rows := greatest(v_here - v_new + v_deletes, v_breaker.rows);
      v_breaker.deletes := case when v_here < v_most then least(v_breaker.deletes, v_rows - v_here - v_deletes) else v_breaker.deletes end;
    else
      -- Before this the table was not counted to its end: nobody knows which of these deletes new rows have made up for.
      v_rows := greatest(v_here - v_new + v_deletes + v_breaker.deletes, v_breaker.rows);
    end if;
    if v_rows >= v_entity.breaker_rows and v_breaker.deletes + v_deletes > v_share * v_rows then
      v_tripped := true;
      update rowferry.entities e
      set held_attempts = 1, held_until = 'infinity', held_sqlstate = 'RF026',
        held_error = format('%s of about %s rows are to be deleted on %s, more than a share of %s', v_breaker.deletes + v_deletes, v_rows, p_peer,
          e.breaker_share),
        held_hint = format('Let them go: select * from rowferry.approve(%L); or get the rows back from there: select * from rowferry.skip_deletes(%1$L, reason);',
          e.name)
      where e.id = v_entity.id;
    else
      insert into rowferry.breakers as b (entity_id, since, rows, all_counted, deletes)
      values (v_entity.id, v_now, v_rows, v_here < v_most, greatest(0, v_breaker.deletes))
      on conflict (entity_id) do update
      set since = coalesce(v_breaker.since, excluded.since), rows = excluded.rows, all_counted = excluded.all_counted, deletes = excluded.deletes;
    end if;
  end loop;
  -- Nor may the parents go whose rows would take those along that wait.
  with recursive waiting (entity_id, name) as (
    select e.id, e.name from rowferry.entities e where e.peer = p_peer and e.held_sqlstate = 'RF026'
    union
    select f.parent_id, w.name from waiting w join rowferry._foreign_keys f on f.child_id = w.entity_id and f.parent_id <> f.child_id
      and f.child_peer = f.parent_peer and f.on_delete = 'c'
  )
  update rowferry.entities e
  set held_attempts = 1, held_until = 'infinity', held_sqlstate = 'RF026',
    held_error = format('its deletes would take rows of %s with them on %s, which wait', w.name, p_peer),
    held_hint = format('Let them go: select * from rowferry.approve(%L); or get the rows back from there: select * from rowferry.skip_deletes(%1$L, reason);', e.name)
  from waiting w
  where e.id = w.entity_id and e.held_sqlstate is distinct from 'RF026'
    and exists (select from jsonb_to_recordset(p_deletes) d (entity_id integer, deletes bigint) where d.entity_id = e.id and d.deletes > 0);
  v_tripped := v_tripped or found;
  if not v_tripped then
    update rowferry.breakers b set deletes = b.deletes + d.deletes
    from (
      select d.entity_id, sum(d.deletes)::bigint
      from jsonb_to_recordset(p_deletes) d (entity_id integer, deletes bigint)
      group by d.entity_id) d (entity_id, deletes)
    where b.entity_id = d.entity_id and d.deletes > 0;
  end if;
  return v_tripped;
end
$$;
comment on function rowferry._trip_breakers(text, bigint, jsonb) is 'Holds entities of which too many rows are about to be deleted on the peer.';
