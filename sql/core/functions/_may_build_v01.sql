-- Whether there may be anything to build for a peer: a short look, as most calls of a link at rest find nothing.
create or replace function rowferry._may_build(
  p_link rowferry.links,
  p_left int8multirange
)
returns boolean
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  v_gaps int8multirange := int8multirange(int8range(p_link.first_id, 9223372036854775807)) - p_left;
begin
  return exists (select from unnest(v_gaps) g cross join lateral (
      select from rowferry.events e where e.id >= lower(g) and e.id < upper(g) order by e.id limit 1) e)
    or exists (select from rowferry.held_events)
    or exists (select from rowferry.skips s where s.done_at is null)
    or exists (select from rowferry.backfills b where b.finished_at is null);
end
$$;
comment on function rowferry._may_build(rowferry.links, int8multirange) is 'Whether there may be anything to build for a peer.';
revoke all on function rowferry._may_build(rowferry.links, int8multirange) from public;
