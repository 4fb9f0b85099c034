-- Records per second that went over a link in the last minute, in both directions, as far as the log of batches reaches.
create or replace function rowferry._rate(
  p_peer text
)
returns double precision
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select coalesce(round(sum(b.records) / 60.0, 1), 0)
    from rowferry.batches b
    where b.peer = p_peer and b.at > rowferry._now() - interval '1 min');
end
$$;
comment on function rowferry._rate(text) is 'Records per second that went over a link in the last minute.';
