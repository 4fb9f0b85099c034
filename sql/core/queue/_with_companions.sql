create or replace function rowferry._with_companions(
  p_batch rowferry.built_batches,
  p_refusals jsonb
)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_material = off
as $$
declare
  v_parent_ids integer[];
  v_parent_records text[];
  v_parents jsonb;
begin
  select array_agg(n.id), array_agg(p.record_id) into v_parent_ids, v_parent_records
  from (
    select distinct r #>> '{parent,entity}' as entity, r #>> '{parent,record_id}' as record_id
    from jsonb_array_elements(p_refusals) r
    where r ? 'parent'
  ) p
  join rowferry.entities n on n.name = p.entity and n.peer = p_batch.peer;
  -- A parent of this batch has failed on the peer, or was not tried. A parent that may be sent and is not in this batch is sent with the next.
  select jsonb_object_agg(jsonb_build_object('entity', n.name, 'record_id', p.record_id)::text, jsonb_build_object('parent_id', p.entity_id, 'stays',
    (p.entity_id, p.record_id) not in (select g.entity_id, g.record_id from rowferry._sendable_records(v_parent_ids, v_parent_records) g)
      or exists (select from rowferry._events_of_record(p.entity_id, p.record_id) e where e.id <@ p_batch.ids)))
  into v_parents
  from unnest(v_parent_ids, v_parent_records) p (entity_id, record_id)
  join rowferry.entities n on n.id = p.entity_id;
  return (
    select jsonb_agg(r.refusal || p.parent || jsonb_build_object('with_holders', h.change, 'stays',
      h.change or coalesce((p.parent -> 'stays')::boolean, false) or coalesce(r.refusal ->> 'sqlstate', '') not in ('23503', '23505', '23P01'))
      order by r.place)
    from jsonb_array_elements(p_refusals) with ordinality r (refusal, place)
    cross join lateral (select coalesce(v_parents -> (r.refusal ->> 'parent'), '{}')) p (parent)
    cross join lateral (
      select r.refusal ? 'holders' and exists (
        select from jsonb_array_elements_text(r.refusal -> 'holders') k (record_id)
        join rowferry.entities n on n.name = r.refusal ->> 'entity'
        cross join lateral (select from rowferry._events_of_record(n.id, k.record_id) limit 1) v)) h (change));
end
$$;
comment on function rowferry._with_companions(rowferry.built_batches, jsonb) is
  'The peer''s refusals, each with what this node knows about the rows that the refused row needs. parent_id is the entity of the parent that the peer '
  'lacks. with_holders says that a row which has the needed unique value is to change too; then both are sent together. stays says that the row is held at '
  'once. If it is not, it lacks a row that may be sent with the next batch, which is then larger.';
