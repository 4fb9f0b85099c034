create or replace function rowferry._not_taken_count(
  p_left rowferry._not_taken[]
)
returns integer
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if cardinality(p_left) = 0 then
    return 0;
  end if;
  return (select coalesce(sum(cardinality(l.records)), 0) from unnest(p_left) l);
end
$$;
comment on function rowferry._not_taken_count(rowferry._not_taken[]) is 'How many records were not taken.';
