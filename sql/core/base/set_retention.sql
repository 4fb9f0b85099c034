create or replace function rowferry.set_retention(
  p_retention interval
)
returns table (
  retention interval
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  if p_retention < interval '1 day' then
    raise exception using errcode = 'RF013', message = 'what is kept for less than a day is gone before anybody looks', detail = format('%s.', p_retention),
      hint = 'select * from rowferry.set_retention(''30 days''); or null: for ever.';
  end if;
  return query update rowferry.node n set retention = p_retention returning n.retention;
end
$$;
comment on function rowferry.set_retention(interval) is
  'Sets for how long decided conflicts and closed skips are kept; null: for ever. What is older is removed little by little, whenever batches travel.';
