create or replace function rowferry._attached(
  p_table regclass,
  p_entity text,
  p_peer text
)
returns rowferry.entities
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_entity rowferry.entities;
  v_others text;
begin
  select e.* into v_entity from rowferry.entities e
  where e.relation = p_table and e.name = coalesce(p_entity, e.name) and e.peer = coalesce(p_peer, e.peer) order by e.id;
  v_others := (
    select string_agg(e.peer, ', ' order by e.peer) from rowferry.entities e
    where e.relation = p_table and e.id <> v_entity.id and p_entity is null and p_peer is null);
  if v_others is not null then
    raise exception using errcode = 'RF011', message = 'the table is attached for several peers',
      detail = format('%s, for %s, %s.', p_table, v_entity.peer, v_others),
      hint = format('Say which one is meant: select rowferry.attach(%L, p_peer => %L);', p_table, v_entity.peer);
  end if;
  return v_entity;
end
$$;
comment on function rowferry._attached(regclass, text, text) is
  'The entity of a table that attach() is to change: the one for this peer or of this name, or the only one; null: there is none.';
