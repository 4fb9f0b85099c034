create or replace function rowferry._users_path(
  p_entity rowferry.entities
)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
  select concat_ws(', ', quote_ident(n.nspname), case when n.nspname <> 'public' then 'public' end, 'pg_temp')
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where c.oid = p_entity.relation);
end
$$;
comment on function rowferry._users_path(rowferry.entities) is
  'The search_path in which triggers and functions of the user''s run: the schema of the table, and public.';
