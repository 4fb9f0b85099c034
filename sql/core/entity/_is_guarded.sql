-- Names are emptied first, so that none can hold what is looked for.
create or replace function rowferry._is_guarded(
  p_definition text
)
returns boolean
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
  select regexp_replace(split_part(regexp_replace(p_definition, '"[^"]*"', '""', 'g'), ' FOR EACH ', 2), '^(ROW|STATEMENT) WHEN ', '')
    ^@ any (array['(' || rowferry._guard() || ') EXECUTE', '((' || rowferry._guard() || ' AND ', '((' || rowferry._guard() || E' AND\n'])
$$;
comment on function rowferry._is_guarded(text) is 'Whether the WHEN of a trigger begins with the guard; p_definition as pg_get_triggerdef() has it.';
