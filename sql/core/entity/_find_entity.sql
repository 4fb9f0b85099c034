create or replace function rowferry._find_entity(
  p_name text,
  p_peer text default null
)
returns rowferry.entities
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_entity rowferry.entities;
begin
  select e.* into v_entity
  from rowferry.entities e
  left join pg_class c on c.oid = e.relation
  left join pg_namespace n on n.oid = c.relnamespace
  where p_name in (e.name, c.relname, n.nspname || '.' || c.relname, e.relation::text) and e.peer = coalesce(p_peer, e.peer)
  order by e.name = p_name desc, c.relname = p_name desc nulls last, e.id
  limit 1;
  if not found then
    raise exception using errcode = 'RF011', message = 'no such entity is attached',
      detail = format('%s is the name of no entity and of no attached table.', p_name),
      hint = 'select name, relation from rowferry.entities;';
  end if;
  return v_entity;
end
$$;
comment on function rowferry._find_entity(text, text) is
  'The entity that a person means by its name or by that of its table, with the schema or without; on the link to p_peer, if that is given.';
