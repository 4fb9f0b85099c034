create or replace function rowferry._seen_at(
  p_xid xid
)
returns timestamptz
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (select min(b.at) from rowferry.batches b where age(b.xmin) < age(p_xid));
end
$$;
comment on function rowferry._seen_at(xid) is
  'A time at which this transaction had begun already, by the first batch that was noted after it; null: no batch was. For sessions whose start only '
  'pg_read_all_stats shows.';
