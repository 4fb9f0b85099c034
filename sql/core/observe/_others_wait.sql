create or replace function rowferry._others_wait(
  p_others numeric,
  p_causes bigint
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select case when p_others > 0 then format('; %s %s for %s', p_others, case p_others when 1 then 'other waits' else 'others wait' end,
    case p_causes when 1 then 'it' else 'them' end) else '' end
$$;
comment on function rowferry._others_wait(numeric, bigint) is 'The end of a cause: how many others wait for this one (p_causes = 1) or for these.';
