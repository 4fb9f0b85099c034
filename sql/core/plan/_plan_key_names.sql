create or replace function rowferry._plan_key_names(
  p_facts jsonb
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(string_agg(replace(k.value #>> '{}', '"', ''), ' or '), 'none')
  from (
    select p_facts -> 'key' as value where p_facts ? 'key'
    union all
    select e -> 'key' from jsonb_array_elements(p_facts -> 'keys') e) k
$$;
comment on function rowferry._plan_key_names(jsonb) is 'For plan(): the keys of a table as people read them, columns and kinds of value.';
