create or replace function rowferry._filtered_sql(
  p_entity rowferry.entities,
  p_rows text,
  p_unaltered boolean default false
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case when p_entity.filter is null and f.parents is null then p_rows
    else format('(select r.* from %s r%s where %s)', p_rows,
      case when p_entity.filter is not null
        then format(' cross join lateral (select %s from (select %s) f) w (is_within)', p_entity.filter, rowferry._pinned_sql(p_entity, 'r', p_unaltered)) end,
      concat_ws(' and ', case when p_entity.filter is not null then 'w.is_within' end, f.parents)) end
  from (select case when not p_unaltered then rowferry._within_sql(p_entity, 'r') end) f (parents)
$$;
comment on function rowferry._filtered_sql(rowferry.entities, text, boolean) is
  'FROM item: those rows of p_rows, which has the columns of an entity''s table, that are kept in sync; p_rows itself if all are. The planner sees '
  'through it and can use an index on a column of the filter.';
