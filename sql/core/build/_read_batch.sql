-- The next batch for a peer. STABLE: all statements in here see one snapshot, the caller's (R4). Oldest events first; a key with all its
-- pending events; when a limit cut something off, the pending parents of every child row too, or the peer could not take it. Where the oldest events are
-- mostly of a few records (o_repeated, unless p_coalesced), or the chosen records of an entity have p_most_events or more (o_hot_entity, o_hot_records), nothing is
-- read: they are to be coalesced first. With p_alone it may be one large row. No event below p_first_id, or in p_left, waits for its first batch.
-- p_aside: entities that wait (_queue_followers). o_deletes: how many records of an entity with a breaker are gone by changes of this node that nobody has approved. o_waiting: rows that are left out, since the peer lacks a
-- parent that stays here.
create or replace function rowferry._read_batch(
  p_peer text,
  p_limit integer,
  p_alone boolean,
  p_first_id bigint default 0,
  p_left int8multirange default '{}',
  p_coalesced boolean default true,
  p_most_events integer default null,
  p_aside integer[] default '{}',
  out o_sections rowferry._section[],
  out o_ids int8multirange,
  out o_events integer,
  out o_keys integer,
  out o_whole boolean,
  out o_unreadable jsonb,
  out o_large jsonb,
  out o_repeated boolean,
  out o_hot_entity integer,
  out o_hot_records text[],
  out o_deletes jsonb,
  out o_waiting jsonb
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres'
set timezone = 'UTC'
set extra_float_digits = 1
set bytea_output = 'hex'
set lc_monetary = 'C'
set xmloption = 'content'
set array_nulls = on
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  c_bytes constant bigint := 8388608;
  c_largest constant bigint := 125829120;
  c_most_bytes constant bigint := 268435456;  -- an envelope is one value of less than 1 GB, to which the last row comes on top
  v_alone bigint;
  v_cut boolean := false;
  v_parents boolean;  -- whether rows may need what is left behind; null: not looked yet
  v_group record;
  v_entity rowferry.entities;
  v_section rowferry._section;
  v_round integer := 0;
  v_round_sections integer;
  v_parent_ids integer[];
  v_parent_records text[];
  v_seen_ids integer[] := '{}';
  v_seen_records text[] := '{}';
  v_event_keys text[];
  v_event_ids bigint[];  -- in their order
  v_event_stamps timestamptz[];
  v_event_hops smallint[];
  v_moved text[];  -- have an event that says that their place is to be looked at first
  v_left_keys text[];  -- have an event that says that the peer may have a row that is outside now
  v_created boolean;
  v_count integer;
  v_lowest bigint := case when exists (select from rowferry.held_events) then 0 else p_first_id end;
  v_keys text[];
  v_read record;
  v_state text;
  v_context text;
  v_message text;
  v_budget bigint;
  v_bad jsonb;
  v_readable text[];
  v_left_out text[];
  v_missing boolean := exists (select from rowferry.missing_parents);
  v_waiting jsonb;
  v_bytes bigint := c_bytes;
  v_total bigint := 0;
begin
  o_sections := '{}';
  o_ids := '{}';
  o_events := 0;
  o_keys := 0;
  o_unreadable := '[]';
  o_large := '[]';
  o_deletes := '[]';
  o_waiting := '[]';
  o_repeated := false;
  o_whole := true;
  loop
    v_round_sections := cardinality(o_sections);
    <<groups>>
    for v_group in
      select c.* from rowferry._choose_records(p_peer, p_limit, p_alone, p_first_id, p_left, p_aside) c where v_round = 0
      union all
      select p.entity_id, false, array_agg(p.record_id), o_whole, v_cut, v_alone, false
      from unnest(v_parent_ids, v_parent_records) p (entity_id, record_id) where v_round > 0 group by p.entity_id
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
      -- All events of these records, found in one scan of the index. -1: an answer.
      select array_agg(e.record_id), array_agg(e.id), array_agg(e.stamp), case when bool_or(e.hops <> 0) then array_agg(e.hops) end, bool_and(e.event_type = 'i'), array_agg(e.record_id) filter (where e.event_type = 'w' or e.event_type = 'd' and e.place is not null),
        array_agg(e.record_id) filter (where e.event_type not in ('i', 'u'))
      into v_event_keys, v_event_ids, v_event_stamps, v_event_hops, v_created, v_moved, v_left_keys
      from (
        select f.*
        from (
          select e.record_id, e.id, e.event_type, e.place, case when e.event_type = 'a' then -1 else e.hops end::smallint as hops, rowferry._stamp(e) as stamp
          from rowferry.events e
          where e.entity_id = v_entity.id and rowferry._index_key(e.record_id) = any (rowferry._index_keys(v_group.o_keys)) and e.id + 0 >= v_lowest
          limit p_most_events
        ) f
        order by f.id
      ) e;
      if cardinality(v_event_ids) >= p_most_events then
        o_events := 0;
        o_hot_entity := v_entity.id;
        o_hot_records := v_group.o_keys;
        return;
      end if;
      -- What was refused before is a section of its own: it is refused again more often than not, and is not to delay the others.
      v_section := row(v_entity.name, v_entity.columns, null, null, null, v_event_keys, v_event_ids, v_event_stamps, v_event_hops, null, null,
        v_entity.key_columns || v_entity.key_types, array[v_entity.conflict_rule, v_entity.orphan_rule], v_created, v_entity.column_types);
      if v_moved is not null then
        o_whole := false;
        v_section := rowferry._section_part(v_section, v_moved, false);
        continue when v_section.event_ids is null;
        v_event_keys := v_section.event_keys;
      end if;
      -- One column is looked for in an index, where it does not matter how often.
      v_keys := case when cardinality(v_entity.key_columns) = 1 then v_event_keys else array(select distinct k from unnest(v_event_keys) k) end;
      if v_parents is distinct from false then
        v_seen_ids := v_seen_ids || array_fill(v_entity.id, array[cardinality(v_keys)]);
        v_seen_records := v_seen_records || v_keys;
      end if;

      if array_position(v_section.event_stamps, null) is not null then
        select array_agg(q.record_id) into v_section.asked
        from (
          select e.record_id
          from unnest(v_section.event_keys, v_section.event_stamps) e (record_id, stamp)
          group by e.record_id having bool_and(e.stamp is null)
        ) q;
        v_keys := array(select k from unnest(v_keys) k where k not in (select unnest(v_section.asked)));
      end if;

      v_budget := (
        select case when v_alone is not null then c_largest when c.relkind = 'p' or pg_relation_size(nullif(c.reltoastrelid, 0)) > 0 then v_bytes end
        from pg_class c where c.oid = v_entity.relation);
      v_bad := null;
      v_readable := null;
      <<reading>>
      loop
        begin
          execute format('select * from rowferry.%I($1, $2)', rowferry._generated_name('read_', v_entity.name)) into v_read
          using coalesce(v_readable, v_keys), v_budget;
          perform rowferry._left_nothing();
          exit reading;
        exception
          -- A table that was altered or dropped here stops no other.
          when others or assert_failure then
            get stacked diagnostics v_state = returned_sqlstate, v_context = pg_exception_context, v_message = message_text;
            if rowferry._stops_every_table(v_state, v_context) then
              raise;
            end if;
            o_whole := false;
            -- A few records that cannot be read (a label of an enum in the key that has another name now, a view that divides by zero) stop no other of the table.
            if v_bad is null and left(v_state, 2) = '22' then
              select u.o_found, u.o_left || array(select b ->> 'record_id' from jsonb_array_elements(u.o_found) b) into v_bad, v_left_out
              from rowferry._unreadable_records(v_entity, array(select distinct k from unnest(v_keys) k), v_budget) u;
              if v_bad <> '[]' then
                v_readable := array(select k from unnest(v_keys) k where k not in (select unnest(v_left_out)));
                continue reading;
              end if;
            end if;
            o_unreadable := o_unreadable || rowferry._unreadable_entity(v_entity, v_state, v_message);
            continue groups;
        end;
      end loop;
      -- Only now, when the read has locked the table: a column that was dropped and added again reads as null.
      if rowferry._column_types(v_entity) is distinct from v_entity.column_types then
        o_whole := false;
        o_unreadable := o_unreadable || rowferry._unreadable_entity(v_entity, 'RF020', 'its columns are not those that were attached');
        continue groups;
      end if;
      if v_bad <> '[]' then
        o_unreadable := o_unreadable || v_bad;
        v_read.o_cut := v_read.o_cut || v_left_out;
      end if;
      if v_entity.within is not null and v_entity.filter_left = 'delete' then
        -- Inserted and changed outside only: the peer never had it.
        v_read.o_outside := array(select o from unnest(v_read.o_outside) o where o not in (select unnest(v_left_keys)));
      end if;
      v_section.keys := v_read.o_keys;
      v_section.column_values := v_read.o_columns;
      if v_read.o_large is not null then
        o_unreadable := o_unreadable || (
          select jsonb_agg(jsonb_build_object('entity', v_entity.name, 'record_id', k, 'here', true, 'sqlstate', '54000',
            'message', 'the row is too large to travel: more than 120 MB',
            'hint', 'Make it smaller, or keep the column out of the sync: select rowferry.attach(table, p_columns => ..); on both nodes; or give the change up: select rowferry.skip(id, reason);'))
          from unnest(v_read.o_large) k);
        v_read.o_cut := v_read.o_cut || v_read.o_large;
      end if;
      if v_read.o_alone is not null then
        o_large := o_large || (
          select jsonb_agg(jsonb_build_object('entity', v_entity.name, 'record_id', a.key, 'here', true, 'sqlstate', 'RF025',
            'message', format('the row has %s MB and travels alone', a.size / 1048576), 'patience', least(64, 1 + a.size / 2097152),
            'hint', 'Nothing: its turn comes, in a call that may take longer than others.'))
          from unnest(v_read.o_alone, v_read.o_sizes) a (key, size));
        v_read.o_cut := v_read.o_cut || v_read.o_alone;
      end if;
      if cardinality(v_keys) > coalesce(cardinality(v_read.o_keys), 0) + coalesce(cardinality(v_read.o_cut), 0) + coalesce(cardinality(v_read.o_outside), 0) then
        v_section.gone := nullif(array(select distinct k from unnest(v_keys) k
          where k not in (select unnest(v_read.o_keys)) and k not in (select unnest(v_read.o_cut)) and k not in (select unnest(v_read.o_outside))), '{}');
      end if;
      if v_read.o_cut is not null then
        o_whole := false;
        select array_agg(e.key), array_agg(e.id), array_agg(e.stamp), case when v_section.event_hops is not null then array_agg(e.hops) end
        into v_section.event_keys, v_section.event_ids, v_section.event_stamps, v_section.event_hops
        from unnest(v_section.event_keys, v_section.event_ids, v_section.event_stamps, v_section.event_hops) e (key, id, stamp, hops)
        where e.key not in (select unnest(v_read.o_cut));
        continue when v_section.event_ids is null;
      end if;
      if v_missing and v_section.keys is not null then
        v_waiting := rowferry._left_waiting(v_section);
        if v_waiting is not null then
          o_waiting := o_waiting || v_waiting;
          v_section := rowferry._section_part(v_section, array(select w ->> 'record_id' from jsonb_array_elements(v_waiting) w), false);
          continue when v_section.event_ids is null;
        end if;
      end if;
      if v_section.gone is not null and (v_entity.breaker_share is not null or exists (
          select from rowferry._foreign_keys f where f.parent_id = v_entity.id and f.child_id <> f.parent_id and f.child_peer = f.parent_peer and f.on_delete = 'c'))
        and v_section.event_ids[cardinality(v_section.event_ids)] > v_entity.approved_to then
        o_deletes := o_deletes || jsonb_build_object('entity_id', v_entity.id, 'deletes', (
          -- In FILTER it is hashed; a join would be a nested loop.
          select count(distinct e.key) filter (where e.key in (select unnest(v_section.gone)))
          from unnest(v_section.event_keys, v_section.event_ids, v_section.event_hops) e (key, id, hops)
          where e.id > v_entity.approved_to and coalesce(e.hops, 0) = 0));
      end if;
      v_total := v_total + coalesce(v_read.o_length, 0);
      v_bytes := case when v_total > c_most_bytes then -1 else greatest(0, c_bytes - v_total) end;
      o_sections := o_sections || v_section;
      v_count := cardinality(v_section.event_ids);
      o_ids := o_ids + case when v_section.event_ids[v_count] - v_section.event_ids[1] = v_count - 1
        then int8multirange(int8range(v_section.event_ids[1], v_section.event_ids[v_count], '[]'))
        else (select range_agg(int8range(i, i, '[]')) from unnest(v_section.event_ids) i) end;
      o_events := o_events + v_count;
      o_keys := o_keys + coalesce(cardinality(v_section.keys), 0) + coalesce(cardinality(v_section.gone), 0) + coalesce(cardinality(v_section.asked), 0)
        + coalesce(cardinality(v_read.o_outside), 0);
    end loop;
    exit when o_whole and not v_cut and not v_missing or v_alone is not null;
    exit when not coalesce(v_parents, exists (select from rowferry._foreign_keys f where f.child_peer = p_peer and f.parent_peer = p_peer));
    select array_agg(p.entity_id), array_agg(p.record_id) into v_parent_ids, v_parent_records
    from (
      select distinct f.entity_id, f.record_id
      from unnest(o_sections[v_round_sections + 1:]) s
      cross join lateral rowferry._parent_records(s) f
      where (f.entity_id, f.record_id) not in (select * from unnest(v_seen_ids, v_seen_records))
    ) p;
    -- A parent that is held stays, but for one that waits, through others, for itself and for what is in this batch: rows that need each other travel together.
    select array_agg(p.entity_id), array_agg(p.record_id) into v_parent_ids, v_parent_records
    from (
      select g.entity_id, g.record_id from rowferry._going(v_parent_ids, v_parent_records) g where g.entity_id <> all (p_aside)
      union
      select u.entity_id, u.record_id
      from rowferry._parents_awaited(case when v_missing then v_parent_ids end, v_parent_records) u
      join rowferry.entities n on n.id = u.entity_id and n.id <> all (p_aside) and (n.held_until is null or n.held_until <= rowferry._now())
      group by u.entity_id, u.record_id
      having bool_or(u.above_entity_id = u.entity_id and u.above_record_id = u.record_id)
        and bool_or((u.above_entity_id, u.above_record_id) in (select * from unnest(v_seen_ids, v_seen_records)))
    ) p;
    exit when v_parent_ids is null;
    v_round := v_round + 1;
  end loop;
end
$$;
comment on function rowferry._read_batch(text, integer, boolean, bigint, int8multirange, boolean, integer, integer[]) is 'The next batch for a peer: events, and the present rows of their keys, in one snapshot.';
