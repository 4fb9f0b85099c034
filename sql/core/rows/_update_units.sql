create or replace function rowferry._update_units(
  p_entity rowferry.entities
)
returns table (
  number bigint,
  assignments text,
  differs text,
  is_unique boolean
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  with waited as materialized (
    select a.attname as local, string_agg(distinct t.tgname, ' ' order by t.tgname) as triggers
    from (select p_entity.relation::oid union select p.relid from pg_partition_tree(p_entity.relation) p) r (relation)
    join pg_trigger t on t.tgrelid = r.relation and not t.tgisinternal
    join pg_attribute a on a.attrelid = t.tgrelid and a.attnum = any (t.tgattr::smallint[])
    group by a.attname
  ), columns as (
    select e.*, case when e.insert_only then null
        -- One value of such a key may have two spellings (1.0 and 1.00): it gets the one that was sent.
        when e.key_position is not null then case when e.type in ('numeric', 'bpchar') then 'unique' end
        else concat(case when e.in_unique then 'unique' end, w.triggers) end as unit
    from rowferry._column_parts(rowferry._written(p_entity)) e
    left join waited w on w.local = e.local
  ), numbered as (
    -- At most three units, because there is an update for each combination: all units from the third on are one.
    select case when c.unit = '' then 0 else least(dense_rank() over (partition by c.unit = '' order by c.unit collate "C"), 3) end as number, c.*
    from columns c
    where c.unit is not null
  )
  select n.number, string_agg(format('%I = %s', n.local, n.value), ', ' order by n.place),
    -- Compared byte by byte, as the column stores it.
    format('row(%s)::record operator(pg_catalog.*<>) row(%s)::record', string_agg(format('t.%I::%s', n.local, n.type), ', ' order by n.place),
      string_agg(format('%s::%s', n.value, n.full_type), ', ' order by n.place)),
    bool_or(n.in_unique)
  from numbered n
  group by n.number;
end
$$;
comment on function rowferry._update_units(rowferry.entities) is
  'Columns that an update of an entity''s rows sets together, and only if one of them differs, because setting them has effects: the columns of unique '
  'indexes (setting one locks out new children of the row) and those for which a trigger of the user''s waits (update of). Number 0 stands for all other '
  'columns. assignments is a SET list, and differs a condition on rows t and received rows u.';
