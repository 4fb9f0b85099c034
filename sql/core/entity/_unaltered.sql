-- A key of another type would be spelled otherwise, and a cast would be a function of whoever altered it. Without SET, so that it is inlined.
create or replace function rowferry._unaltered(
  p_value anyelement,
  p_type anyelement
)
returns anyelement
language sql
immutable
parallel safe
as $$ select p_value $$;
comment on function rowferry._unaltered(anyelement, anyelement) is
  'A value, if it has the type that the table was attached with. If not, there is no such function, and the statement fails before anything in it runs.';
