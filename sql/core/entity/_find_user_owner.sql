create or replace function rowferry._find_user_owner(
  p_entity rowferry.entities,
  p_function text,
  p_merges boolean default false
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select pg_get_userbyid((rowferry._find_user_function(p_function,
    case when p_merges then array_to_string(array[t.oid, t.oid], ' ') else t.typarray::text end::oidvector)).proowner)
  from pg_type t
  where t.typrelid = (select rowferry._travelling_relation(p_entity)) and p_function is not null
$$;
comment on function rowferry._find_user_owner(rowferry.entities, text, boolean) is
  'Who owns the user''s function of this name that takes rows of an entity as they travel, or, for a merge, two rows; null: there is no such function.';
