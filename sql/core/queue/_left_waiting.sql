create or replace function rowferry._left_waiting(
  p_section rowferry._section
)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_hashjoin = on
set enable_nestloop = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
begin
  return (
    with lacking as materialized (
      select c.id as child_entity_id, f.child_id, f.entity_id, f.record_id
      from rowferry.entities c
      cross join lateral rowferry._parent_records(p_section) f
      cross join lateral (
        select v.came from rowferry.missing_parents v
        where v.entity_id = f.entity_id and rowferry._index_key(v.record_id) = rowferry._index_key(f.record_id) offset 0) m
      where c.name = p_section.entity and not m.came
        and not exists (
          select
          from rowferry._held_of_record(c.id, f.child_id) h
          where h.parent_record_id is not null and h.not_before <= rowferry._now())
    ), staying as materialized (
      select l.entity_id, l.record_id from lacking l
      except
      select g.entity_id, g.record_id
      from (
        select array_agg(d.entity_id) as entity_ids, array_agg(d.record_id) as record_ids
        from (select distinct l.entity_id, l.record_id from lacking l) d) p
      cross join lateral rowferry._sendable_records(p.entity_ids, p.record_ids) g
    ), up as materialized (
      select u.*
      from (select array_agg(s.entity_id) as entity_ids, array_agg(s.record_id) as record_ids from staying s) p
      cross join lateral rowferry._parents_awaited(p.entity_ids, p.record_ids) u
    )
    select jsonb_agg(w)
    from (
      select distinct on (l.child_id) p_section.entity, l.child_id as record_id, l.entity_id as parent_id, l.record_id as parent_record_id
      from lacking l
      join staying s using (entity_id, record_id)
      where not exists (
        select from up u
        where u.entity_id = l.entity_id and u.record_id = l.record_id and u.above_entity_id = l.child_entity_id and u.above_record_id = l.child_id)
      order by l.child_id, l.entity_id, l.record_id
    ) w);
end
$$;
comment on function rowferry._left_waiting(rowferry._section) is
  'The rows of a section that the peer cannot take, because it lacks a parent which is not sent with them: {"entity": .., "record_id": .., "parent_id": .., '
  '"parent_record_id": ..} for each; null means none. It leaves out rows that are tried to see whether somebody made the parent on the peer, and rows for '
  'which their parent waits in turn, because parent and child then travel together.';
