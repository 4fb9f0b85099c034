create or replace function rowferry._missing_parent(
  p_section rowferry._section,
  p_error jsonb
)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce((
    select jsonb_build_object('parent', jsonb_build_object('entity', n.name, 'record_id', f.record_id),
      'parent_deleted', rowferry._is_deleted(n.id, f.record_id))
    from rowferry.entities e
    join pg_class c on c.relname = p_error ->> 'table' and c.relnamespace = to_regnamespace(quote_ident(p_error ->> 'schema'))
    cross join lateral rowferry._parent_records(p_section) f
    join rowferry.entities n on n.id = f.entity_id
    where e.name = p_section.entity and f.constraint_name = p_error ->> 'constraint'
      and (e.relation = c.oid or e.relation in (select a.relid from pg_partition_ancestors(c.oid) a))), '{}')
$$;
comment on function rowferry._missing_parent(rowferry._section, jsonb) is
  'What a refusal says about the parent that one row lacks here, by the foreign key that the error names: {"parent": {"entity": "shop", "record_id": "17"}, '
  '"parent_deleted": false}. It returns {} if the foreign key does not refer to the key of an entity, or if the row that lacks its parent is of another '
  'table.';
