create or replace function rowferry._waiting_entities(
  p_peer text,
  p_all boolean
)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select coalesce(jsonb_agg(n.name), '[]')
    from rowferry.entities n
    where n.peer = p_peer and n.direction <> 'receive' and (p_all
      or exists (select from rowferry.held_events h where h.entity_id = n.id)
      or (n.held_until is not null or n.paused_at is not null) and exists (select from rowferry.events e where e.entity_id = n.id)));
end
$$;
comment on function rowferry._waiting_entities(text, boolean) is
  'Entities of which older changes may exist that are not in a batch: entities with held events, and those that are held or paused. With p_all it is every '
  'entity that sends, because more waits or is in flight. While this is so, the peer does not carry out a delete that would delete rows of these entities by '
  'a cascade.';
