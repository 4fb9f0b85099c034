create or replace function rowferry._refuse_outbox(
  p_peer text,
  p_message text,
  p_hint text
)
returns void
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if rowferry._is_outbox(p_peer) then
    raise exception using errcode = 'RF053', message = p_message, detail = format('%s is an outbox.', p_peer), hint = p_hint;
  end if;
end
$$;
comment on function rowferry._refuse_outbox(text, text, text) is 'Raises this error if the peer is an outbox, which takes rows and answers nothing.';
