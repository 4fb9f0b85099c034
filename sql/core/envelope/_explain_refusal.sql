create or replace function rowferry._explain_refusal(
  p_sqlstate text,
  p_message text,
  p_detail text,
  p_hint text
)
returns jsonb
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('sqlstate', p_sqlstate, 'message', concat_ws(' ', p_message, nullif(p_detail, '')), 'hint', coalesce(nullif(p_hint, ''),
    case
      when p_sqlstate = '23503' then
        'A row that it refers to is missing on the other node (attach that row''s table if it is not attached, and backfill it), or a row there still '
          'refers to it. This says which: select * from rowferry.why_stuck();'
      when p_sqlstate in ('23505', '23P01') then
        'Another row has this value on the other node. Change one of the two rows, or make the constraint deferrable there and attach() its table again.'
      when p_sqlstate like '23%' then
        'select * from rowferry.retry(id);  -- once you have changed the row, or the constraint on the other node; or give the change up: '
          'select * from rowferry.skip(id, ''reason'');'
      when p_sqlstate = '42501' then 'The owner of the table on the other node lacks this right; a trigger of the table may need it.'
      else 'select * from rowferry.retry(id);  -- once the cause on the other node is mended; or give the change up: '
        'select * from rowferry.skip(id, ''reason'');'
    end))
$$;
comment on function rowferry._explain_refusal(text, text, text, text) is
  'Why a row was refused, as it travels to the sender. The hint is the one of the error; if the error has none, it is the way out that is known for its '
  'SQLSTATE.';
