create or replace function rowferry._find_user_function(
  p_name text,
  p_parameters oidvector
)
returns pg_proc
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select p
  from pg_proc p
  join pg_namespace n on n.oid = p.pronamespace
  where array[n.nspname, p.proname]::text[] = rowferry._split_name(p_name) and p.proargtypes = p_parameters and p.prokind = 'f'
$$;
comment on function rowferry._find_user_function(text, oidvector) is 'The user''s function with this schema, name and parameters; null: there is none.';
