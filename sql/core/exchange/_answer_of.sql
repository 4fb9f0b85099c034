create or replace function rowferry._answer_of(
  p_link rowferry.links,
  p_status text,
  p_reason text,
  p_left int8multirange default '{}'
)
returns rowferry._answer
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select row(p_status, null, 0, 0, 0, 0, 0, c.pending, c.held, c.next_id, c.last_id, c.backfilling, c.patience,
    p_link.token_number || '-' || p_link.token_random, rowferry.version(), p_reason, null)::rowferry._answer
  from rowferry._counts(p_link.peer, 10000, p_left) c
$$;
comment on function rowferry._answer_of(rowferry.links, text, text, int8multirange) is
  'The answer of a call that has done nothing so far: a status, its reason, and what waits on the link. p_left has the events that were removed from the '
  'queue in this call, past which no search needs to walk.';
