create or replace function rowferry._find_entity(
  p_name text,
  p_peer text default null,
  p_if_attached boolean default false
)
returns rowferry.entities
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_found record;
begin
  select f.entity, f.several, f.tables into v_found
  from (
    -- Of several peers' entities of one table none is the one that is meant.
    select e as entity, e.name = p_name as named, c.relname = p_name as called, e.id,
      case when e.name <> p_name then string_agg(e.peer, ', ') over (partition by e.relation) end as several,
      -- Nor of tables that have one name in different schemas.
      case when e.name <> p_name and min(e.relation::oid::bigint) over () <> max(e.relation::oid::bigint) over ()
        then string_agg(e.relation::text, ', ') over () end as tables
    from rowferry.entities e
    left join pg_class c on c.oid = e.relation
    left join pg_namespace n on n.oid = c.relnamespace
    where p_name in (e.name, c.relname, n.nspname || '.' || c.relname, e.relation::text) and e.peer = coalesce(p_peer, e.peer)
  ) f
  order by f.named desc, f.called desc nulls last, f.id
  limit 1;
  if not found and p_if_attached then
    return null;
  elsif not found then
    raise exception using errcode = 'RF011', message = 'no such entity is attached',
      detail = format('%s is the name of no entity and of no attached table.', p_name),
      hint = 'select name, relation from rowferry.entities;';
  elsif v_found.tables is not null then
    raise exception using errcode = 'RF011', message = 'several tables of this name are attached', detail = format('%s.', v_found.tables),
      hint = 'Name one with its schema, or its entity: select name, relation from rowferry.entities;';
  elsif v_found.several like '%,%' then
    raise exception using errcode = 'RF011', message = 'the table is attached for several peers',
      detail = format('%s, for %s.', (v_found.entity).relation, v_found.several),
      hint = format('Name the entity of one of them, such as %s: select name, peer, relation from rowferry.entities;', (v_found.entity).name);
  end if;
  return v_found.entity;
end
$$;
comment on function rowferry._find_entity(text, text, boolean) is
  'The entity that a person means by its name or by that of its table, with the schema or without; on the link to p_peer, if that is given. With '
  'p_if_attached it is null if there is none.';
