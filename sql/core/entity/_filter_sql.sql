create or replace function rowferry._filter_sql(
  p_entity rowferry.entities,
  p_row text,
  p_unaltered boolean default false
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select case when f.own is null or f.parents is null then coalesce(f.own, f.parents) else format('(%s and %s)', f.own, f.parents) end
  from (
    select
      case when p_entity.filter is not null
        then format('coalesce((select %s from (select %s) f), false)', p_entity.filter, rowferry._pinned_sql(p_entity, p_row, p_unaltered)) end,
      case when not p_unaltered then rowferry._within_sql(p_entity, p_row) end
  ) f (own, parents)
$$;
comment on function rowferry._filter_sql(rowferry.entities, text, boolean) is
  'SQL condition: whether a row of an entity''s table, given by the expression p_row, is kept in sync; null: all are. The columns of the filter are not '
  'qualified, so the condition puts them in a FROM item of their own. Capture (p_unaltered) looks at the filter alone and not at the parents that rows '
  'follow.';
