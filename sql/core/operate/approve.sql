create or replace function rowferry.approve(
  p_entity text
)
returns table (
  peer text,
  entity text,
  deletes bigint,
  state text
)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  v_entity rowferry.entities := rowferry._awaiting(p_entity);
begin
  update rowferry.entities e set approved_to = pg_sequence_last_value('rowferry.events_id_seq') where e.id = v_entity.id;
  delete from rowferry.breakers b where b.entity_id = v_entity.id;
  perform rowferry._end_wait(v_entity.id);
  return query
  select v_entity.peer, v_entity.name, count(*) + coalesce((
      select sum(c.only_there)::bigint from rowferry.comparisons c
      where c.peer = v_entity.peer and c.entity = v_entity.name and c.state = 'resolving' and c.only_there_choice = 'here' and c.resolved = 0), 0),
    case when v_entity.paused_at is not null then 'approved; the entity is paused' else format('they go to %s with the next exchange', v_entity.peer) end
  from rowferry.events e where e.entity_id = v_entity.id and e.event_type = 'd';
end
$$;
comment on function rowferry.approve(text) is 'Lets all deletes of an entity be sent that wait for approval now. Later deletes are counted from zero.';
