create or replace function rowferry._answer_of(
  p_link rowferry.links,
  p_status text,
  p_reason text,
  p_left int8multirange default '{}',
  p_rare rowferry._rare default null
)
returns rowferry._answer
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_counts record := rowferry._counts(p_link.peer, 10000, p_left, p_rare);
begin
  return row(p_status, null, 0, 0, 0, 0, 0, v_counts.pending, v_counts.held, v_counts.next_id, v_counts.last_id, v_counts.backfilling, v_counts.patience,
    p_link.token_number || '-' || p_link.token_random, rowferry.version(), p_reason, null,
    v_counts.outbox)::rowferry._answer;
end
$$;
comment on function rowferry._answer_of(rowferry.links, text, text, int8multirange, rowferry._rare) is
  'The answer of a call that has done nothing so far: a status, its reason, and what waits on the link. p_left has the events that were removed from the '
  'queue in this call, past which no search needs to walk. p_rare says which rare things there are; null: nobody has looked yet.';
