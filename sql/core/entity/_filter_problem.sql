create or replace function rowferry._filter_problem(
  p_entity rowferry.entities,
  out o_problem text,
  out o_fix text,
  out o_fails boolean
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive base (name, pinned, oid) as (
    select c.name, c.type, a.atttypid
    from unnest(p_entity.filter_columns, p_entity.filter_types) c (name, type)
    left join pg_attribute a on a.attrelid = p_entity.relation and a.attname = c.name and a.attnum > 0 and not a.attisdropped
    where p_entity.filter is not null
    union all
    select b.name, b.pinned, t.typbasetype from base b join pg_type t on t.oid = b.oid and t.typtype = 'd'
  ), found (fails, labels) as (
    select string_agg(case
        when b.oid is null then format('column %I is gone', b.name)
        when starts_with(b.pinned, 'enum{') then case when t.typtype <> 'e'
          then format('column %I was of an enum and is of type %s', b.name, format_type(b.oid, -1)) end
        when b.oid is distinct from to_regtype(b.pinned)
          then format('column %I was of type %s and is of type %s', b.name, b.pinned, format_type(b.oid, -1)) end, ', ' order by b.name),
      string_agg(format('%L of column %I', l.label, b.name), ', ' order by b.name, l.label) filter (where l.label is not null)
    from base b
    left join pg_type t on t.oid = b.oid
    left join lateral unnest(case when starts_with(b.pinned, 'enum{') and t.typtype = 'e' then substr(b.pinned, 5)::text[] end) l (label)
      on not exists (select from pg_enum e where e.enumtypid = t.oid and e.enumlabel = l.label)
    where t.typtype is distinct from 'd'
  )
  select coalesce('its filter cannot be evaluated, so all writes fail: ' || f.fails, 'its filter names what is no longer a value of an enum: ' || f.labels),
    format('select rowferry.attach(%L, %L);  -- proves it again; or change back what was altered, or give it another one: p_filter => ..',
      p_entity.relation, p_entity.name),
    f.fails is not null
  from found f
  where coalesce(f.fails, f.labels) is not null
$$;
comment on function rowferry._filter_problem(rowferry.entities) is
  'What has become wrong with an entity''s filter, and what to type; no row means that nothing has. o_fails says that writes to the table fail. It looks '
  'only at the catalog and evaluates nothing of the filter or of a user''s type.';
