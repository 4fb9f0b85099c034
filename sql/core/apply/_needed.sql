create or replace function rowferry._needed(
  p_section rowferry._section,
  p_sections rowferry._section[],
  p_needs rowferry._need[],
  out o_needs rowferry._need[],
  out o_along rowferry._section[]
)
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_nestloop = off
set plan_cache_mode = force_generic_plan  -- the needs are hashed once, not scanned for each step
as $$
declare
  v_entities text[];
  v_records text[];
  v_keys text[];
  v_part rowferry._section;
begin
  o_needs := '{}';
  o_along := '{}';
  if cardinality(p_needs) > 0 then
    with recursive reached (entity, record_id) as (
      select p_section.entity, k from unnest(p_section.keys || p_section.gone) k
      union
      select n.needed_entity, n.needed_record_id from reached r join unnest(p_needs) n using (entity, record_id)
    )
    select array_agg(r.entity), array_agg(r.record_id) into v_entities, v_records from reached r;
    o_needs := array(
      select n from unnest(p_needs) n
      where (n.entity, n.record_id) in (select r.entity, r.record_id from unnest(v_entities, v_records) r (entity, record_id)));
  end if;
  if o_needs <> '{}' then
    for i in 1 .. cardinality(p_sections) loop
      v_keys := array(
        select r.record_id
        from unnest(v_entities, v_records) r (entity, record_id)
        where r.entity = p_sections[i].entity and (r.entity <> p_section.entity or r.record_id not in (select unnest(p_section.keys || p_section.gone))));
      continue when v_keys = '{}';
      v_part := rowferry._section_part(p_sections[i], v_keys, true);
      v_part.asked := null;
      if coalesce(v_part.keys, v_part.gone) is not null then
        o_along := o_along || v_part;
      end if;
    end loop;
  end if;
end
$$;
comment on function rowferry._needed(rowferry._section, rowferry._section[], rowferry._need[]) is
  'What the records of a section need, directly or through others: the needs, and the parts of all sections of the batch (p_sections) that have to be '
  'written with it.';
