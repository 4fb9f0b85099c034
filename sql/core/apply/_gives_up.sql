create or replace function rowferry._gives_up(
  p_entity text,
  p_column text
)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select p_column is not null and exists (
    select
    from rowferry.entities e
    where e.name = p_entity and e.cycle is null and p_column <> all (coalesce(e.filter_columns || e.within_columns, '{}'))
      and exists (select from pg_constraint f where f.confrelid = e.relation and f.contype = 'f'))
$$;
comment on function rowferry._gives_up(text, text) is
  'Whether a row that is about to be deleted, and to which others may refer until then, gives a unique value up by a null in this column and is deleted '
  'after all writes. It does not if a filter, or the foreign key by which the row follows its parent, reads the column, because the delete would then not '
  'find the row. Nor does it in a cycle of entities, where there is no such step.';
