create or replace function rowferry._parents_among(
  p_section rowferry._section,
  p_cycle integer,
  p_sections rowferry._section[]
)
returns table (
  child text,
  entity text,
  record_id text,
  gone boolean
)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with records (entity, record_id, gone) as materialized (
    select s.entity, k.record_id, k.gone
    from (select (p_sections[i]).entity, (p_sections[i]).keys, (p_sections[i]).gone from generate_subscripts(p_sections, 1) i) s
    cross join lateral (select unnest(s.keys), false union all select unnest(s.gone), true) k (record_id, gone)
  )
  select p.child_id, r.entity, r.record_id, r.gone
  from rowferry._parent_records(p_section) p
  join rowferry.entities e on e.id = p.entity_id and (e.cycle = p_cycle or e.name = p_section.entity)
  join records r on r.entity = e.name and r.record_id = p.record_id
$$;
comment on function rowferry._parents_among(rowferry._section, integer, rowferry._section[]) is
  'Which rows of a section (child) refer to which records of p_sections, if these are of the same entity or of its cycle, and whether the record is gone in '
  'its section.';
