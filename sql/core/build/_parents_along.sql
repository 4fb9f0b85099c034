create or replace function rowferry._parents_along(
  p_sections rowferry._section[],
  p_seen_ids integer[],
  p_seen_records text[],
  p_missing boolean,
  p_aside integer[],
  out o_entity_ids integer[],
  out o_record_ids text[]
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  select array_agg(p.entity_id), array_agg(p.record_id) into o_entity_ids, o_record_ids
  from (
    select distinct f.entity_id, f.record_id
    from unnest(p_sections) s
    cross join lateral rowferry._parent_records(s) f
    where (f.entity_id, f.record_id) not in (select * from unnest(p_seen_ids, p_seen_records))
  ) p;
  -- Rows that need each other travel together: so a held parent is sent too if it waits, through others, for itself and for what is in this batch.
  select array_agg(p.entity_id), array_agg(p.record_id) into o_entity_ids, o_record_ids
  from (
    select g.entity_id, g.record_id from rowferry._sendable_records(o_entity_ids, o_record_ids) g where g.entity_id <> all (p_aside)
    union
    select u.entity_id, u.record_id
    from rowferry._parents_awaited(case when p_missing then o_entity_ids end, o_record_ids) u
    join rowferry.entities n on n.id = u.entity_id and n.id <> all (p_aside) and rowferry._is_free(n)
    group by u.entity_id, u.record_id
    having bool_or(u.above_entity_id = u.entity_id and u.above_record_id = u.record_id)
      and bool_or((u.above_entity_id, u.above_record_id) in (select * from unnest(p_seen_ids, p_seen_records)))
  ) p;
end
$$;
comment on function rowferry._parents_along(rowferry._section[], integer[], text[], boolean, integer[]) is
  'Records that rows of these sections refer to by a foreign key, and of which a change waits that may be sent in the same batch. Records that were seen '
  'already are left out. A parent that is held is left out too, unless rows wait for each other (p_missing: the peer is known to lack parents). Entities in '
  'p_aside send nothing now.';
