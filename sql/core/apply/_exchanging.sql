-- Refusals with the line that lets rows arrive which exchange unique values (p_needs, from _needs: in a circle), for all that wait for such a value of the same constraint. A few rows tell.
create or replace function rowferry._exchanging(
  p_left jsonb,
  p_needs jsonb
)
returns jsonb
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  with recursive needs (entity, record_id, needed_id, name) as materialized (
    select n ->> 0, n ->> 1, n ->> 3, n ->> 5 from jsonb_array_elements(p_needs) n where n ->> 4 = '23505'
  ), refused (place, entity, record_id, refusal) as materialized (
    select l.place, l.refusal ->> 'entity', l.refusal ->> 'record_id', l.refusal
    from jsonb_array_elements(p_left) with ordinality l (refusal, place)
  ), reached (entity, record_id, name, needed_id, steps) as (
    select r.entity, r.record_id, n.name, n.needed_id, 1
    from (select * from refused r where r.refusal ->> 'sqlstate' in ('23505', '23P01') order by r.place limit 20) r
    join needs n using (entity, record_id)
    union
    select r.entity, r.record_id, r.name, n.needed_id, r.steps + 1
    from reached r
    join needs n on n.entity = r.entity and n.record_id = r.needed_id
    where r.steps < 100 and r.needed_id <> r.record_id
  ), exchanged (entity, name, hint) as materialized (
    select e.entity, e.name, rowferry._exchange_hint(e.entity, e.name)
    from (select distinct r.entity, r.name from reached r where r.needed_id = r.record_id) e
  ), hints (entity, record_id, hint) as materialized (
    select n.entity, n.record_id, min(e.hint) from exchanged e join needs n using (entity, name) where e.hint is not null group by n.entity, n.record_id
  )
  select coalesce(jsonb_agg(r.refusal || case when h.hint is not null and r.refusal ->> 'sqlstate' in ('23505', '23P01')
    then jsonb_build_object('hint', h.hint, 'advised', true) else '{}' end order by r.place), '[]')
  from refused r
  left join hints h using (entity, record_id)
$$;
comment on function rowferry._exchanging(jsonb, jsonb) is 'Refusals with the line that lets rows arrive which exchange unique values.';
