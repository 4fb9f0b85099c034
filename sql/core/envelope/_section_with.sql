create or replace function rowferry._section_with(
  p_section rowferry._section,
  p_keys text[],
  p_column_values text[],
  p_gone text[]
)
returns rowferry._section
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if p_keys is not null then
    p_section.column_values := array(
      select (coalesce(old.literal, '{}')::text[] || new.literal::text[])::text
      from unnest(p_column_values) with ordinality new (literal, ord)
      left join unnest(case when p_section.keys is not null then p_section.column_values end) with ordinality old (literal, ord) using (ord)
      order by ord);
    p_section.keys := p_section.keys || p_keys;
  end if;
  p_section.gone := p_section.gone || p_gone;
  return p_section;
end
$$;
comment on function rowferry._section_with(rowferry._section, text[], text[], text[]) is 'A section with more rows, and with more keys of rows that are gone.';
