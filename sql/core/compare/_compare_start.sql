create or replace function rowferry._compare_start(
  p_entity_or_table text,
  p_kind text
)
returns rowferry.comparisons
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_entity rowferry.entities;
  v_run rowferry.comparisons;
begin
  v_entity := rowferry._find_entity(p_entity_or_table);
  perform rowferry._refuse_outbox(v_entity.peer, 'what an outbox has sent cannot be compared',
    format('To send all rows again: select * from rowferry.backfill(%L);', v_entity.name));
  select c.* into v_run
  from rowferry.comparisons c
  where c.peer = v_entity.peer and c.entity = v_entity.name and c.kind = p_kind and c.state in ('queued', 'walking', 'resolving');
  if not found then
    delete from rowferry.comparisons c
    where c.entity = v_entity.name and c.state in ('finished', 'failed', 'resolved')
      and c.id not in (select o.id from rowferry.comparisons o where o.entity = v_entity.name order by o.id desc limit 20);
    insert into rowferry.comparisons (peer, entity, kind, requested_at, requested_by)
    values (v_entity.peer, v_entity.name, p_kind, rowferry._now(), session_user)
    returning * into v_run;
  end if;
  return v_run;
end
$$;
comment on function rowferry._compare_start(text, text) is
  'Queues a comparison, or finds the one of this kind that is open. It keeps the last 20 comparisons of an entity that have ended.';
