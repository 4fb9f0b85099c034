create or replace function rowferry._by_hops(
  p_section rowferry._section
)
returns rowferry._section[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_sections rowferry._section[] := '{}';
  v_part rowferry._section;
  v_group record;
begin
  for v_group in
    select h.hops, array_agg(h.record_id) as keys
    from (
      select e.record_id, greatest(0, min(e.hops)) as hops
      from unnest(p_section.event_keys, p_section.event_hops) e (record_id, hops)
      group by e.record_id
    ) h
    group by h.hops
  loop
    v_part := rowferry._section_part(p_section, v_group.keys, true);
    v_part.hops := v_group.hops;
    v_sections := v_sections || v_part;
  end loop;
  return v_sections;
end
$$;
comment on function rowferry._by_hops(rowferry._section) is
  'Splits a section by how often its rows went back and forth, so that a consequence inherits the right count. A record with a real change counts as 0.';
