-- The entity that a person means, on that link if one is named.
create or replace function rowferry._entity(
  p_entity text,
  p_peer text default null
)
returns rowferry.entities
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_entity rowferry.entities := (select e from rowferry.entities e where e.name = p_entity and e.peer = coalesce(p_peer, e.peer));
begin
  if v_entity.id is null then
    raise exception using errcode = 'RF011', message = 'no such entity',
      detail = format('Attached: %s.', coalesce((select string_agg(e.name, ', ' order by e.name) from rowferry.entities e), 'none')),
      hint = 'select name, relation from rowferry.entities;';
  end if;
  return v_entity;
end
$$;
comment on function rowferry._entity(text, text) is 'The entity that a person means.';
revoke all on function rowferry._entity(text, text) from public;
