create or replace function rowferry._delete_children_sql(
  p_parent rowferry.entities,
  p_record_id text
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
  select string_agg(format('delete from %s where %s;', f.relation, w.condition), ' ' order by f.relation, f.id)
  from rowferry._foreign_keys f
  cross join lateral (
    select string_agg(format('%I = %L', u.child, case when cardinality(p_parent.key_columns) = 1 then p_record_id
      else (p_record_id::text[])[k.key_position] end),
        ' and ' order by k.key_position) as condition,
      count(k.key_position) = count(*) and count(*) = cardinality(p_parent.key_columns) as by_key
    from unnest(f.columns, f.parent_columns) u (child, parent)
    left join rowferry._entity_columns(p_parent) k on k.local = u.parent
  ) w
  where f.parent_id = p_parent.id and f.child_peer = p_parent.peer and not f.is_copy and w.by_key
    and exists (select from rowferry.held_events h
      where h.entity_id = f.child_id and h.parent_entity_id = p_parent.id and rowferry._index_key(h.parent_record_id) = rowferry._index_key(p_record_id)
        and h.parent_record_id is not null)
$$;
comment on function rowferry._delete_children_sql(rowferry.entities, text) is
  'The statements that delete the rows here which refer to a record that the peer has deleted, in the tables of which rows wait for that record.';
