create or replace function rowferry._parent_records(
  p_section rowferry._section
)
returns table (
  child_id text,
  constraint_name name,
  entity_id integer,
  record_id text
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  return query
  with foreign_keys as (
    select f.conname, p.id as parent_id, array_agg(array_position(c.local_columns, l.attname::text)
      order by p.columns[array_position(p.local_columns, r.attname::text)] collate "C") as positions
    from rowferry.entities c
    join pg_constraint f on f.conrelid = c.relation and f.contype = 'f'
    join rowferry.entities p on p.relation = f.confrelid and p.peer = c.peer
    cross join lateral unnest(f.conkey, f.confkey) k (child, parent)
    join pg_attribute l on l.attrelid = f.conrelid and l.attnum = k.child
    join pg_attribute r on r.attrelid = f.confrelid and r.attnum = k.parent
    where c.name = p_section.entity
    group by f.oid, f.conname, p.id, p.key_columns
    having array_agg(p.columns[array_position(p.local_columns, r.attname::text)]
        order by p.columns[array_position(p.local_columns, r.attname::text)] collate "C") = p.key_columns
      and bool_and(l.attname::text = any (c.local_columns))
  )
  select distinct v.child_id, f.conname, f.parent_id, v.record_id
  from foreign_keys f
  cross join lateral (
    select min(v.child_id) as child_id, case when cardinality(f.positions) = 1 then min(v.value) else array_agg(v.value order by p.ord)::text end as record_id
    from unnest(f.positions) with ordinality p (position, ord)
    cross join lateral unnest(p_section.column_values[p.position]::text[], p_section.keys) with ordinality v (value, child_id, row_ord)
    group by v.row_ord
    having bool_and(v.value is not null)
  ) v;
end
$$;
comment on function rowferry._parent_records(rowferry._section) is
  'Records that the rows of a section refer to by foreign keys that refer to the key of an entity: for each row, or, if the section has no keys, for all '
  'rows together (child_id is null). They are taken from the values that travel, so no right on the tables is needed.';
