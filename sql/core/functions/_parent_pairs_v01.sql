-- Which rows of a section (child) refer to which records by foreign key, where the key of an entity is what is referred to. Taken from the values on their way, so that no
-- right on the tables is needed.
create or replace function rowferry._parent_pairs(
  p_section rowferry._section
)
returns table (
  entity_id integer,
  record_id text,
  child text
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with foreign_keys as (
    select p.id as parent_id, array_agg(array_position(c.local_columns, l.attname::text)
      order by p.columns[array_position(p.local_columns, r.attname::text)] collate "C") as positions
    from rowferry.entities c
    join pg_constraint f on f.conrelid = c.relation and f.contype = 'f'
    join rowferry.entities p on p.relation = f.confrelid and p.peer = c.peer
    cross join lateral unnest(f.conkey, f.confkey) k (child, parent)
    join pg_attribute l on l.attrelid = f.conrelid and l.attnum = k.child
    join pg_attribute r on r.attrelid = f.confrelid and r.attnum = k.parent
    where c.name = p_section.entity
    group by f.oid, p.id, p.key_columns
    having array_agg(p.columns[array_position(p.local_columns, r.attname::text)]
        order by p.columns[array_position(p.local_columns, r.attname::text)] collate "C") = p.key_columns
      and bool_and(l.attname::text = any (c.local_columns))
  )
  select f.parent_id, v.record_id, p_section.keys[v.row_ord]
  from foreign_keys f
  cross join lateral (
    select v.row_ord, case when cardinality(f.positions) = 1 then min(v.value) else array_agg(v.value order by p.ord)::text end as record_id
    from unnest(f.positions) with ordinality p (position, ord)
    cross join lateral unnest(p_section.column_values[p.position]::text[]) with ordinality v (value, row_ord)
    group by v.row_ord
    having bool_and(v.value is not null)
  ) v
$$;
comment on function rowferry._parent_pairs(rowferry._section) is 'Which rows of a section refer to which records by foreign key.';
revoke all on function rowferry._parent_pairs(rowferry._section) from public;
