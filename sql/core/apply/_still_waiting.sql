create or replace function rowferry._still_waiting(
  p_waiting text[],
  p_sections rowferry._section[],
  p_left rowferry._not_taken[]
)
returns text[]
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if cardinality(p_sections) = 0 and cardinality(p_left) = 0 then
    return p_waiting;
  end if;
  return array(
    select unnest(p_waiting)
    union select (p_sections[i]).entity from generate_subscripts(p_sections, 1) i where (p_sections[i]).keys is not null
    union select l.entity from unnest(p_left) l);
end
$$;
comment on function rowferry._still_waiting(text[], rowferry._section[], rowferry._not_taken[]) is
  'Entities of which the peer has yet to send changes: those that the peer names (p_waiting), those of rows that have not been tried (p_sections), and those '
  'of records that were not taken (p_left).';
