-- A temporary table of this session with a deferrable trigger or constraint, null: there is none. It can be written in a read-only transaction too.
create or replace function rowferry._deferrable_temporary()
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if pg_my_temp_schema() = 0 then
    return null;
  end if;
  return (
    select min(c.relname::text)
    from pg_class c
    join pg_trigger t on t.tgrelid = c.oid
    where c.relnamespace = pg_my_temp_schema() and t.tgdeferrable);
end
$$;
comment on function rowferry._deferrable_temporary() is 'A temporary table of this session with a deferrable trigger or constraint.';
