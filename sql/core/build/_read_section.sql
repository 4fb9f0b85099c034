create or replace function rowferry._read_section(
  p_entity rowferry.entities,
  p_keys text[],
  p_lowest bigint,
  p_most_events integer,
  p_bytes bigint,
  p_missing boolean,
  out o_section rowferry._section,
  out o_hot boolean,
  out o_whole boolean,
  out o_seen text[],
  out o_keys integer,
  out o_length bigint,
  out o_deletes bigint,
  out o_unsendable jsonb,
  out o_waiting jsonb
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_section rowferry._section := row(p_entity.name, p_entity.columns, null, null, null, null, null, null, null, null, null,
    p_entity.key_columns || p_entity.key_types, array[p_entity.conflict_rule, p_entity.orphan_rule], null, p_entity.column_types);
  v_moved text[];  -- records with an event that _queue_followers() has to look at before it can go
  v_known text[];  -- records of which the peer may have the row, by one of their events, though it is outside now
  v_keys text[];
  v_read record;
begin
  o_whole := true;
  -- All events of these records in their order, found in one scan of the index. Hops of -1 say that the event is an answer.
  select array_agg(e.record_id), array_agg(e.id), array_agg(e.stamp), case when bool_or(e.hops <> 0) then array_agg(e.hops) end, bool_and(e.event_type = 'i'),
    array_agg(e.record_id) filter (where e.event_type = 'w' or e.event_type = 'd' and e.place is not null),
    array_agg(e.record_id) filter (where e.event_type not in ('i', 'u'))
  into v_section.event_keys, v_section.event_ids, v_section.event_stamps, v_section.event_hops, v_section.created, v_moved, v_known
  from (
    select f.*
    from (
      select e.record_id, e.id, e.event_type, e.place, case when e.event_type = 'a' then -1 else e.hops end::smallint as hops, rowferry._stamp(e) as stamp
      from rowferry.events e
      where e.entity_id = p_entity.id and rowferry._index_key(e.record_id) = any (rowferry._index_keys(p_keys)) and e.id + 0 >= p_lowest
      limit p_most_events
    ) f
    order by f.id
  ) e;
  o_hot := cardinality(v_section.event_ids) >= p_most_events;
  if o_hot then
    return;
  end if;
  if v_moved is not null then
    o_whole := false;
    v_section := rowferry._section_part(v_section, v_moved, false);
  end if;
  if v_section.event_ids is null then
    return;
  end if;
  -- A key of one column is looked up in an index: it does no harm there if it is named twice.
  v_keys := case when cardinality(p_entity.key_columns) = 1 then v_section.event_keys else array(select distinct k from unnest(v_section.event_keys) k) end;
  o_seen := v_keys;
  if array_position(v_section.event_stamps, null) is not null then
    v_section.asked := nullif(array(
      select e.record_id from unnest(v_section.event_keys, v_section.event_stamps) e (record_id, stamp)
      group by e.record_id having bool_and(e.stamp is null)), '{}');
    v_keys := array(select k from unnest(v_keys) k where k not in (select unnest(v_section.asked)));
  end if;
  v_read := rowferry._read_rows(p_entity, v_keys, p_bytes);
  o_unsendable := v_read.o_unsendable;
  if v_read.o_failed then
    o_whole := false;
    return;
  end if;
  if v_read.o_left_out is not null then
    o_whole := false;
    v_section := rowferry._section_part(v_section, v_read.o_left_out, false);
    if v_section.event_ids is null then
      return;
    end if;
  end if;
  if p_entity.within is not null and p_entity.filter_left = 'delete' then
    -- A row that was only inserted and changed while it was outside is one that the peer never had.
    v_read.o_outside := array(select o from unnest(v_read.o_outside) o where o not in (select unnest(v_known)));
  end if;
  v_section.keys := v_read.o_keys;
  v_section.column_values := v_read.o_columns;
  o_length := v_read.o_length;
  o_keys := coalesce(cardinality(v_read.o_outside), 0);
  if cardinality(v_keys) > coalesce(cardinality(v_read.o_keys), 0) + coalesce(cardinality(v_read.o_left_out), 0) + o_keys then
    v_section.gone := nullif(array(select distinct k from unnest(v_keys) k
      where k not in (select unnest(v_read.o_keys)) and k not in (select unnest(v_read.o_left_out)) and k not in (select unnest(v_read.o_outside))), '{}');
  end if;
  if p_missing and v_section.keys is not null then
    o_waiting := rowferry._left_waiting(v_section);
    if o_waiting is not null then
      v_section := rowferry._section_part(v_section, array(select w ->> 'record_id' from jsonb_array_elements(o_waiting) w), false);
    end if;
  end if;
  if v_section.event_ids is null then
    return;
  end if;
  if v_section.gone is not null and v_section.event_ids[cardinality(v_section.event_ids)] > p_entity.approved_to
    and (p_entity.breaker_share is not null or exists (
      select from rowferry._foreign_keys f
      where f.parent_id = p_entity.id and f.child_id <> f.parent_id and f.child_peer = f.parent_peer and f.on_delete = 'c')) then
    -- In FILTER it is hashed; a join would be a nested loop.
    select count(distinct e.key) filter (where e.key in (select unnest(v_section.gone))) into o_deletes
    from unnest(v_section.event_keys, v_section.event_ids, v_section.event_hops) e (key, id, hops)
    where e.id > p_entity.approved_to and coalesce(e.hops, 0) = 0;
  end if;
  o_keys := o_keys + coalesce(cardinality(v_section.keys), 0) + coalesce(cardinality(v_section.gone), 0) + coalesce(cardinality(v_section.asked), 0);
  o_section := v_section;
end
$$;
comment on function rowferry._read_section(rowferry.entities, text[], bigint, integer, bigint, boolean) is
  'Reads some records of one entity for a batch. o_section has all their pending events from p_lowest on, and their present rows; it is null if none of them '
  'can go. o_hot says that they have p_most_events or more events, and that nothing was read. o_whole says that no record was left behind. o_seen lists the '
  'records that were looked at. o_keys counts the records that are done with, also rows outside of the filter of which nothing is said. o_length is the '
  'number of bytes of the rows. o_deletes counts the records that are gone by changes of this node that nobody has approved, if a breaker or a cascade makes '
  'that matter. _read_rows() explains o_unsendable. o_waiting, with p_missing, has the rows that are left out because the peer lacks a parent that stays '
  'here.';
