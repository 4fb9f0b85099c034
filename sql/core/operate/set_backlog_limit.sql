create or replace function rowferry.set_backlog_limit(
  p_peer text,
  p_limit text
)
returns table (
  peer text,
  backlog_limit text,
  state text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_peer text := (rowferry._find_link(p_peer)).peer;
  v_limit bigint := pg_size_bytes(p_limit);
begin
  perform rowferry._refuse_outbox(v_peer, 'the link to an outbox is never cut, because nobody could compare its rows afterwards',
    format('To give up what waits, table by table: select rowferry.detach(name, p_force => true) from rowferry.entities where peer = %L order by id desc;',
      v_peer));
  if v_limit <= 0 then
    raise exception using errcode = 'RF013', message = 'a backlog limit is a size above 0', detail = format('%s.', p_limit),
      hint = format('select * from rowferry.set_backlog_limit(%L, ''10 GB''); or null: the link is never cut.', v_peer);
  end if;
  return query
  update rowferry.links l set backlog_limit = v_limit, backlog_looked_at = null, backlog_since = null where l.peer = v_peer
  returning l.peer, pg_size_pretty(l.backlog_limit),
    case
      when l.cut_at is not null then format('the link is cut already, and what waited for %s is given up. Next, once it is back: '
        'select * from rowferry.resync(%1$L);', l.peer)
      when v_limit is null then format('off: what waits for %s stays until it is back', l.peer)
      else format('the link is cut once more waits for %s and nothing moves', l.peer)
        || case when l.paused_at is not null then ', but not while it is paused, as it is now' else '' end end;
end
$$;
comment on function rowferry.set_backlog_limit(text, text) is
  'Sets how much may wait for a peer that is away, such as ''10 GB''; null, the default: any amount. Beyond that the link is cut: it stops, and the events '
  'that wait for this peer are removed little by little, with the batches of the other links. resync() takes the peer in again. A link that is '
  'paused here is not cut.';
