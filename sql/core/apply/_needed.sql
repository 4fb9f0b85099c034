-- The parts of the sections of p_all that rows of p_sections need (p_needs, from _needs), directly or through others, and that are not among these.
create or replace function rowferry._needed(
  p_sections rowferry._section[],
  p_all rowferry._section[],
  p_needs jsonb
)
returns rowferry._section[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_needed rowferry._section[] := '{}';
  v_records record;
  v_part rowferry._section;
begin
  if coalesce(p_needs, '[]') = '[]' then
    return v_needed;
  end if;
  for v_records in
    with recursive needs (entity, record_id, needed_entity, needed_record_id) as materialized (
      select n ->> 0, n ->> 1, n ->> 2, n ->> 3 from jsonb_array_elements(p_needs) n
    ), own (entity, record_id) as materialized (
      select (p_sections[i]).entity, k from generate_subscripts(p_sections, 1) i cross join lateral unnest((p_sections[i]).keys || (p_sections[i]).gone) k
    ), reached (entity, record_id) as (
      select o.entity, o.record_id from own o
      union
      select n.needed_entity, n.needed_record_id from reached r join needs n using (entity, record_id)
    )
    select r.entity, array_agg(r.record_id) as keys from reached r where (r.entity, r.record_id) not in (select o.entity, o.record_id from own o) group by r.entity
  loop
    for i in 1 .. cardinality(p_all) loop
      continue when (p_all[i]).entity <> v_records.entity;
      v_part := rowferry._section_part(p_all[i], v_records.keys, true);
      v_part.asked := null;
      if coalesce(v_part.keys, v_part.gone) is not null then
        v_needed := v_needed || v_part;
      end if;
    end loop;
  end loop;
  return v_needed;
end
$$;
comment on function rowferry._needed(rowferry._section[], rowferry._section[], jsonb) is 'What rows of sections need of other sections.';
