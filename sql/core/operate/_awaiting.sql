create or replace function rowferry._awaiting(
  p_entity text
)
returns rowferry.entities
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_entity rowferry.entities := rowferry._find_entity(p_entity);
begin
  -- This waits for a TRUNCATE that has not committed.
  select e.* into v_entity from rowferry.entities e where e.id = v_entity.id for no key update;
  if v_entity.held_sqlstate is distinct from 'RF026' then
    raise exception using errcode = 'RF008', message = 'no deletes of this entity wait for approval', detail = format('%s.', p_entity),
      hint = 'select name, held_error, held_hint from rowferry.entities where held_sqlstate = ''RF026'';';
  end if;
  return v_entity;
end
$$;
comment on function rowferry._awaiting(text) is 'The entity of this name, whose deletes wait for approve(); an error if none do.';
