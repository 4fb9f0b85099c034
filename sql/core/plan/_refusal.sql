create or replace function rowferry._refusal(
  p_table regclass,
  p_entity text,
  p_columns jsonb,
  p_key text[],
  p_peer text,
  p_filter text default null
)
returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_message text;
  v_detail text;
  v_hint text;
begin
  perform rowferry.attach(p_table, p_entity, p_columns => p_columns, p_key => p_key, p_peer => p_peer, p_filter => p_filter, p_dry_run => true);
  return null;
exception
  when others then
    get stacked diagnostics v_message = message_text, v_detail = pg_exception_detail, v_hint = pg_exception_hint;
    return v_message || coalesce(' (' || substring(v_detail from '^(.*?)[.](?=[[:space:]]|$)') || ')', '') || coalesce('. ' || nullif(v_hint, ''), '');
end
$$;
comment on function rowferry._refusal(regclass, text, jsonb, text[], text, text) is
  'For plan(): why attach() would refuse a table, in one line: what is wrong, where, and what to type; null: it would not. Whatever attach() raises with '
  'p_dry_run is the reason.';
