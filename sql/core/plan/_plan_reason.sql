create or replace function rowferry._plan_reason(
  p_message text,
  p_detail text,
  p_hint text
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select p_message || coalesce(' (' || substring(p_detail from '^(.*?)[.](?=\s|$)') || ')', '') || coalesce('. ' || nullif(p_hint, ''), '')
$$;
comment on function rowferry._plan_reason(text, text, text) is 'For plan(): an error in one line: what is wrong, where, and what to type.';
