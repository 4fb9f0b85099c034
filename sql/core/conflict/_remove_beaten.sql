create or replace function rowferry._remove_beaten(
  p_entity rowferry.entities,
  p_ids int8multirange
)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into rowferry.moves (entity_id, parent_record_id, changed_at, hops)
  select c.id, w.record_id, w.changed_at, w.hops
  from (
    select distinct on (e.record_id) e.*
    from unnest(p_ids) r
    join rowferry.events e on e.id >= lower(r) and e.id < upper(r)
    where e.event_type = 'w'
    order by e.record_id, e.id desc
  ) w
  join rowferry.entities c on c.within = p_entity.name and c.direction <> 'receive'
  order by w.id, c.id;
  perform rowferry._delete_events(p_ids);
end
$$;
comment on function rowferry._remove_beaten(rowferry.entities, int8multirange) is
  'Deletes events of this node that have lost a conflict. If one of them says that a row moved, what follows this row is looked at all the same.';
