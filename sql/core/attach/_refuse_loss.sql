create or replace function rowferry._refuse_loss()
returns trigger
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if exists (select from rowferry.detached d where d.entity_id = new.entity_id) then
    raise exception using errcode = 'RF012', message = 'events of this entity are still pending',
      detail = format('%s: %s.', new.name, (select count(*) from rowferry.events e where e.entity_id = new.entity_id)),
      hint = format(case when new.unknown_there
          then 'select rowferry.detach(%L, p_force => true);  -- gives them up (in a revision: alembic -x force=true ..), since %s has no such entity and '
            'takes none of them; or attach the table there again, and let the worker deliver them'
          else 'Let the worker deliver them; or attach the table again in the same transaction, with the same key; or give them up: '
            'select rowferry.detach(%L, p_force => true); in a revision: alembic -x force=true ..' end, new.name, new.peer);
  end if;
  return null;
end
$$;
comment on function rowferry._refuse_loss() is
  'Trigger function. At the end of a transaction that detached an entity, it refuses the transaction if events of that entity still wait and no attach() has '
  'taken them over.';
