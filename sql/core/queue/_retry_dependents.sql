create or replace function rowferry._retry_dependents(
  p_entities integer[]
)
returns void
language sql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
  update rowferry.held_events h set not_before = rowferry._now()
  where h.event_id = any (array(
    select w.event_id
    from rowferry.held_events w
    where w.sqlstate = '23503' and w.not_before > rowferry._now() and w.entity_id = any (array(
      select f.child_id from rowferry._foreign_keys f where f.parent_id = any (p_entities)
      union
      select f.parent_id from rowferry._foreign_keys f where f.child_id = any (p_entities)))
    order by w.event_id
    limit 1000
  ))
$$;
comment on function rowferry._retry_dependents(integer[]) is
  'After rows of these entities were deleted or written, this tries again, at once, those events of related entities (which refer to them, or to which they '
  'refer) that a foreign key holds. Events whose parent is known need no such try (_parents_came); these lack a parent that the peer could not name, or a '
  'child keeps their row from being deleted.';
