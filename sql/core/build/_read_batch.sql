-- What is sent: of each record the row as it is now, with the columns that travel (only the key if the row is gone), and all its pending events, also those
-- that are held, in flight or given up. The records are those of the oldest events that may go, up to a limit of events (_choose_records.sql), and beside them
-- held records that are due again, with the rows whose unique values they need (_due_records.sql). Of an event the key, id, stamp and hops travel; its type
-- shows only as far as it matters: an answer, a question, or a section in which all rows are new. A record that only asks the peer for its row (event type q)
-- has no row. Events and rows are read in one snapshot, so what the receiver gets satisfied the constraints here.
-- A batch is built only if the peer has been heard since the courier opened the exchange, fewer than two batches are in flight, and the peer has not asked that
-- nothing be sent while it reads a large row (_build_envelope.sql); every envelope carries the acknowledgements. Superseded events are removed first.
-- Rows of one entity form a section, with their events in the order of the ids. Sections are in the order of the entities' ids. Records that were refused
-- before and are due come after them in sections of their own, because most of them are refused again and must not delay the others; a record whose parent has
-- come, or that needs others of its table, stays with them. If the limit has cut something off, or the peer is known to lack parents, pending parents of the
-- chosen rows that are not held themselves are added, one generation a round (_parents_along.sql). The receiver puts the sections in an order in which parents
-- come first. What is left out, and stays pending:
-- - events that are held and not due, given up and not yet replaced by a question, or in flight: such an event puts no record into a batch by itself;
-- - records with a move (event type w) of which the followers have not been looked at, or with a delete whose place has not been weighed;
-- - entities that are paused, held as a whole, or wait for rows that moved to be looked at (p_aside), and a whole batch whose deletes trip a breaker
--   (_build_batch.sql);
-- - rows of more than 4 MB, of which each travels alone, and rows of more than 120 MB, which do not travel;
-- - rows beyond 8 MB in one batch, which go with a later one (a plain table that has nothing in TOAST is not measured);
-- - rows that cannot be read, and all rows of a table that was altered since attach(): they are held with the error;
-- - rows, new or changed, whose parent the peer is known to lack, if that parent does not go with them.
-- If a row is outside of the filter, the peer is told that it is gone. With p_filter_left => 'keep', and for a row that follows a parent and that the peer
-- never had, only the events travel; they are acknowledged without effect.
create or replace function rowferry._read_batch(
  p_peer text,
  p_limit integer,
  p_alone boolean,
  p_first_id bigint default 0,
  p_left int8multirange default '{}',
  p_coalesced boolean default true,
  p_most_events integer default null,
  p_aside integer[] default '{}',
  p_rare rowferry._rare default rowferry._rare_things(),
  out o_sections rowferry._section[],
  out o_ids int8multirange,
  out o_events integer,
  out o_keys integer,
  out o_whole boolean,
  out o_unsendable jsonb,
  out o_repeated boolean,
  out o_hot_entity integer,
  out o_hot_records text[],
  out o_deletes jsonb,
  out o_waiting jsonb
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  c_bytes constant bigint := 8388608;
  c_largest constant bigint := 125829120;
  -- No more rows are read of tables that are measured once the batch has this many bytes. An envelope must stay below 1 GB, and the last row may go beyond this
  -- limit.
  c_most_bytes constant bigint := 268435456;
  v_lowest constant bigint := case when p_rare.held then 0 else p_first_id end;
  v_missing constant boolean := p_rare.missing;
  v_alone bigint;
  v_cut boolean := false;
  v_parents boolean;  -- whether rows may need parents that were cut off; null: nobody has looked yet
  v_group record;
  v_entity rowferry.entities;
  v_read record;
  v_ids bigint[];
  v_round_sections integer;
  v_parent_ids integer[];
  v_parent_records text[];
  v_seen_ids integer[] := '{}';
  v_seen_records text[] := '{}';
  v_bytes bigint := c_bytes;
  v_total bigint := 0;
begin
  o_sections := '{}';
  select int8multirange '{}', 0, 0, jsonb '[]', jsonb '{}', jsonb '[]', true, false
  into o_ids, o_events, o_keys, o_unsendable, o_deletes, o_waiting, o_whole, o_repeated;
  loop
    v_round_sections := cardinality(o_sections);
    for v_group in
      select c.* from rowferry._choose_records(p_peer, p_limit, p_alone, p_first_id, p_left, p_aside, p_rare.held) c where v_parent_ids is null
      union all
      select p.entity_id, false, array_agg(p.record_id), o_whole, v_cut, v_alone, false
      from unnest(v_parent_ids, v_parent_records) p (entity_id, record_id) group by p.entity_id
    loop
      o_whole := v_group.o_whole and o_whole;
      v_cut := v_group.o_cut;
      v_alone := v_group.o_alone;
      o_repeated := v_group.o_repeated and not p_coalesced;
      if o_repeated then
        return;
      end if;
      continue when v_group.o_keys is null;
      if v_parents is null and (not o_whole or v_cut) then
        v_parents := exists (select from rowferry._foreign_keys f where f.child_peer = p_peer and f.parent_peer = p_peer);
      end if;
      select e.* into v_entity from rowferry.entities e where e.id = v_group.o_entity_id;
      -- Records that were refused before have a section of their own: most are refused again, which is not to delay the others.
      v_read := rowferry._read_section(v_entity, v_group.o_keys, v_lowest, p_most_events,
        case when v_alone is not null then c_largest else v_bytes end, v_missing);
      if v_read.o_hot then
        o_events := 0;
        o_hot_entity := v_entity.id;
        o_hot_records := v_group.o_keys;
        return;
      end if;
      o_whole := o_whole and v_read.o_whole;
      o_unsendable := o_unsendable || coalesce(v_read.o_unsendable, '[]');
      o_waiting := o_waiting || coalesce(v_read.o_waiting, '[]');
      if v_parents is distinct from false and v_read.o_seen is not null then
        v_seen_ids := v_seen_ids || array_fill(v_entity.id, array[cardinality(v_read.o_seen)]);
        v_seen_records := v_seen_records || v_read.o_seen;
      end if;
      v_ids := (v_read.o_section).event_ids;
      continue when v_ids is null;
      if v_read.o_deletes > 0 then
        o_deletes := o_deletes || jsonb_build_object(v_entity.id, coalesce((o_deletes ->> v_entity.id::text)::bigint, 0) + v_read.o_deletes);
      end if;
      v_total := v_total + coalesce(v_read.o_length, 0);
      v_bytes := case when v_total > c_most_bytes then -1 else greatest(0, c_bytes - v_total) end;
      o_ids := o_ids + case when v_ids[cardinality(v_ids)] - v_ids[1] = cardinality(v_ids) - 1
        then int8multirange(int8range(v_ids[1], v_ids[cardinality(v_ids)], '[]'))
        else (select range_agg(int8range(i, i, '[]')) from unnest(v_ids) i) end;
      o_events := o_events + cardinality(v_ids);
      o_keys := o_keys + v_read.o_keys;
      o_sections := o_sections || v_read.o_section;
    end loop;
    exit when o_whole and not v_cut and not v_missing or v_alone is not null;
    exit when not coalesce(v_parents, exists (select from rowferry._foreign_keys f where f.child_peer = p_peer and f.parent_peer = p_peer));
    select p.o_entity_ids, p.o_record_ids into v_parent_ids, v_parent_records
    from rowferry._parents_along(o_sections[v_round_sections + 1:], v_seen_ids, v_seen_records, v_missing, p_aside) p;
    exit when v_parent_ids is null;
  end loop;
end
$$;
comment on function rowferry._read_batch(text, integer, boolean, bigint, int8multirange, boolean, integer, integer[], rowferry._rare) is
  'Reads the next batch for a peer. _choose_records() chooses the records. _read_section() reads all pending events of these, and their present rows. If the '
  'limit cut something off, _parents_along() adds the pending parents of each row, without which the peer could not take it. The function is STABLE, so that '
  'all of it sees the caller''s snapshot (R4). With p_alone the batch may be one large row. The search for new events begins at p_first_id and leaves out the '
  'ids in p_left: none of those waits for its first batch. Entities in p_aside send nothing now. If most of the oldest events belong to a few records, '
  'nothing is read and o_repeated is true, because superseded events are removed first; p_coalesced says that this was done. If the chosen records of an '
  'entity have p_most_events or more, nothing is read either, and o_hot_entity and o_hot_records name them. o_whole says that the batch has all that is free '
  'to go. o_deletes is {entity id: how many records are gone by changes of this node that nobody has approved}. _read_section() explains o_unsendable and '
  'o_waiting.';
