create or replace function rowferry._skips_overtaken(
  p_peer text,
  p_acked int8multirange
)
returns void
language sql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
  update rowferry.skips s
  set ended_at = case when h.again then rowferry._now() end, kept = not h.again,
    outcome = concat_ws('; then ', s.outcome, 
      case when h.again then format('it changed or was sent again, and %s has taken it', p_peer)
        else 'it changed again before the answer came, and stays here' end)
  from (
    select o.id, bool_or(o.may_delete or e.hops = 0 and e.event_type in ('i', 'u', 'd') or o.kept and e.event_type = 'b') as again
    from unnest(p_acked) r
    join rowferry.events e on e.id >= lower(r) and e.id < upper(r)
    join rowferry.skips o on o.entity_id = e.entity_id and rowferry._index_key(o.record_id) = rowferry._index_key(e.record_id) and o.ended_at is null
    where e.event_type <> 'q' and (o.kept or e.id >= upper(o.ids))
    group by o.id
  ) h
  where s.id = h.id and (h.again or not s.kept)
$$;
comment on function rowferry._skips_overtaken(text, int8multirange) is
  'Ends the skips of records whose later events the peer has acknowledged (p_acked): they changed again, or were sent again. If the later event was a '
  'consequence or an answer, nobody here knows which row won on the peer. Then the row here stays, whatever the answer to the question will be.';
