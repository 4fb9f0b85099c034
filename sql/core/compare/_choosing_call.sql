create or replace function rowferry._choosing_call(
  p_entity rowferry.entities
)
returns text
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select format('select * from rowferry.first_contact(%L, p_only_here => %L, p_only_there => %L, p_different => %L);', p_entity.name,
    case p_entity.direction when 'receive' then 'there' else 'here' end, case p_entity.direction when 'send' then 'here' else 'there' end,
    case p_entity.direction when 'send' then 'here' when 'receive' then 'there' else coalesce('newest by ' || (
      select c.name
      from rowferry._entity_columns(p_entity) c
      where c.type in ('timestamp with time zone', 'timestamp without time zone') and c.name ~ '(updated|modified|changed)'
      order by c.name not like 'updated%', c.name limit 1), 'here') end)
$$;
comment on function rowferry._choosing_call(rowferry.entities) is
  'The call of first_contact() that chooses, as one would type it for this entity: with its direction, and with its time of the last change if it has one.';
