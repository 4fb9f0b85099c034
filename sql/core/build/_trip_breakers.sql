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
-- For count_ too: it ends after so many rows, and a hash join would read the whole table of a parent first.
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  c_window constant interval := '1 hour';
  c_rows constant integer := 100000;  -- at least this many rows are counted, however few the deletes are
  c_hint constant text :=
    'select * from rowferry.approve(%L);  -- lets them be deleted; to get the rows back instead: select * from rowferry.skip_deletes(%1$L, reason);';
  v_last_id bigint := pg_sequence_last_value('rowferry.events_id_seq');
  v_now timestamptz := rowferry._now();
  v_entity rowferry.entities;
  v_share numeric;  -- 0.7 as it prints: as real it is a little less
  v_breaker record;
  v_first_id bigint;
  v_left_out int8multirange;
  v_waits record;
  v_most bigint;
  v_here bigint;
  v_rows bigint;
  v_tripped boolean := false;
  v_state text;
  v_context text;
  v_message text;
begin
  for v_entity in
    with recursive taken (entity_id) as (
      select d::integer from jsonb_object_keys(p_deletes) d
      union
      -- A foreign key that cascades deletes rows of these with them.
      select f.child_id
      from taken t
      join rowferry._foreign_keys f on f.parent_id = t.entity_id and f.child_peer = f.parent_peer and f.on_delete = 'c'
    )
    select e.* from taken t cross join lateral (select * from rowferry.entities n where n.id = t.entity_id offset 0) e
    where e.breaker_share is not null and e.held_sqlstate is distinct from 'RF026'
  loop
    v_share := v_entity.breaker_share;
    select b.* into v_breaker from rowferry.breakers b where b.entity_id = v_entity.id and b.since > v_now - c_window;
    v_first_id := greatest(p_first_id, v_entity.approved_to + 1);
    continue when v_first_id > v_last_id;
    continue when v_breaker.deletes + v_last_id - v_first_id + 1 <= v_share * greatest(v_breaker.rows, v_entity.breaker_rows);
    v_breaker.deletes := coalesce(v_breaker.deletes, 0);
    v_left_out := coalesce((
      select range_agg(i)
      from (
        -- What is in flight has been counted, unless the window begins now.
        select unnest(b.ids) from rowferry.built_batches b where b.peer = p_peer and b.in_flight and v_breaker.entity_id is not null
        union all
        select unnest(s.ids) from rowferry.skips s where s.done_at is null and s.entity_id = v_entity.id
      ) l (i)), '{}');
    v_waits := rowferry._deletes_waiting(v_entity,
      int8multirange(int8range(v_first_id, v_last_id, '[]')) - coalesce((
        select range_agg(i) from rowferry.waiting_runs w cross join lateral unnest(w.ids) i where w.entity_id <> v_entity.id), '{}'),
      v_left_out, v_share * greatest(v_breaker.rows, v_entity.breaker_rows) - v_breaker.deletes);
    v_most := v_waits.o_new + greatest(c_rows, ceil(4 * (v_breaker.deletes + v_waits.o_deletes) / greatest(v_share, 0.001)));
    begin
      execute format('select rowferry.%I($1)', rowferry._generated_name('count_', v_entity.name)) into v_here using v_most;
      perform rowferry._left_nothing();
    exception
      -- A table that cannot be counted is held alone, if rows of it are deleted. What a cascade would delete of it cannot be judged.
      when others or assert_failure then
        get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context, v_message = message_text;
        if rowferry._stops_every_table(v_state, v_context) then
          raise;
        end if;
        if p_deletes ? v_entity.id::text then
          v_tripped := true;
          perform rowferry._hold_entities(jsonb_build_array(rowferry._unreadable_entity(v_entity, v_state, v_message)));
        end if;
        continue;
    end;
    -- If the table was not counted to its end before, nobody knows which of the deletes since then new rows have made up for.
    v_rows := greatest(v_here - v_waits.o_new + v_waits.o_deletes + case when v_breaker.all_counted is false then v_breaker.deletes else 0 end, v_breaker.rows);
    if v_breaker.all_counted is not false and v_here < v_most then
      v_breaker.deletes := least(v_breaker.deletes, v_rows - v_here - v_waits.o_deletes);
    end if;
    if v_rows >= v_entity.breaker_rows and v_breaker.deletes + v_waits.o_deletes > v_share * v_rows then
      v_tripped := true;
      update rowferry.entities e
      set held_attempts = 1, held_until = 'infinity', held_sqlstate = 'RF026', held_hint = format(c_hint, e.name),
        held_error = format('%s of about %s rows are to be deleted on %s, more than a share of %s', v_breaker.deletes + v_waits.o_deletes, v_rows, p_peer,
          e.breaker_share)
      where e.id = v_entity.id;
    else
      insert into rowferry.breakers as b (entity_id, since, rows, all_counted, deletes)
      values (v_entity.id, v_now, v_rows, v_here < v_most, greatest(0, v_breaker.deletes))
      on conflict (entity_id) do update
      set since = coalesce(v_breaker.since, excluded.since), rows = excluded.rows, all_counted = excluded.all_counted, deletes = excluded.deletes;
    end if;
  end loop;
  v_tripped := rowferry._hold_cascading_parents(p_peer, p_deletes, c_hint) or v_tripped;
  if not v_tripped then
    update rowferry.breakers b set deletes = b.deletes + (p_deletes ->> b.entity_id::text)::bigint where p_deletes ? b.entity_id::text;
  end if;
  return v_tripped;
end
$$;
comment on function rowferry._trip_breakers(text, bigint, jsonb) is
  'Holds each entity of which more rows are about to be deleted on the peer than its breaker allows, until approve(). It returns true if there is such an '
  'entity; then the batch just read must not be sent. p_deletes is {entity id: how many of its records are gone} in that batch. It counts the deletes that '
  'wait, in whatever batch, and those sent since the breaker''s window began, less the rows that were added to the table since then. Rows of the table are '
  'counted only up to four times these deletes, because an estimate of the catalog is wrong for rows that were just deleted, and for those of a filter.';
