create or replace function rowferry._column_types(
  p_entity rowferry.entities
)
returns text[]
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
as $$
begin
  -- This function is called for each section that is sent or received. PL/pgSQL plans the query once in a session, and a type of pg_catalog needs no call.
  return (
  select array_agg(case
      when t.typnamespace = 'pg_catalog'::regnamespace and t.typtype <> 'c' then format_type(a.atttypid, greatest(a.atttypmod, -1))
      when t.oid is not null then rowferry._type_spelled(a.atttypid, a.atttypmod, false) end order by c.ord)
  from unnest(p_entity.local_columns, p_entity.column_numbers) with ordinality c (local, number, ord)
  left join pg_attribute a on a.attrelid = (select rowferry._travelling_relation(p_entity)) and a.attname = c.local
    and not a.attisdropped and (a.attnum = c.number or p_entity.column_numbers is null)
  left join pg_type t on t.oid = a.atttypid);
end
$$;
comment on function rowferry._column_types(rowferry.entities) is
  'The type of each of an entity''s columns as it is now, as both nodes spell it; null where the column is gone, has another name or is not the one that '
  'was attached. VOLATILE: it sees the table as it is once the caller has locked it against ALTER TABLE, and not as the caller''s snapshot has it.';
