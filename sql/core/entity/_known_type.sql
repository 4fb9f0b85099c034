create or replace function rowferry._known_type(
  p_spelled text
)
returns regtype
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select t.oid::regtype
    from pg_type t
    where t.oid = to_regtype(p_spelled) and t.typnamespace = 'pg_catalog'::regnamespace and t.typtype in ('b', 'r', 'm'));
exception
  when data_exception or syntax_error_or_access_rule_violation then
    return null;
end
$$;
comment on function rowferry._known_type(text) is
  'The type of pg_catalog of this spelling, without its modifier; null: there is none, or it has no values of its own.';
